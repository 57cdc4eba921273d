use super::super::Credential;
use super::*;
use crate::liveness::verdict::Mode;

const GOOD: &str = r#"
[[listen]]
address = "127.0.0.1:8080"
[[upstreams]]
name = "weu"
endpoint = "https://face.cognitiveservices.azure.com"
keys = { primary = { env = "KEY_1" }, secondary = { file = "second" } }
[[apps]]
name = "onboarding"
token_sha256 = ["f98103e9217f099208569d295c1b276f1821348636c268c854bb2a086e0037cd"]
upstream = "weu"
"#;

fn read(text: &str) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("livegate.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("second"), "key-2\n").unwrap();
    let environment = |name: &str| match name {
        "KEY_1" => Some("key-1".to_owned()),
        "PORT" => Some("8081".to_owned()),
        _ => None,
    };
    let tell =
        |mistake: &Mistake| format!("{}:{} {}", mistake.line, mistake.column, mistake.message);
    load(&path, &environment).config.map_err(|mistakes| mistakes.0.iter().map(tell).collect())
}

#[test]
fn a_short_file_is_enough() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.server, Server::default());
    assert_eq!(config.admin, DEFAULT_ADMIN);
    assert!(key_mistakes(&config).is_empty());
    assert_eq!(config.upstreams.first().unwrap().tier, Some(10.0));
    assert_eq!(config.apps.first().unwrap().routes.len(), 2);
    assert_eq!(config.path.file_name().unwrap(), "livegate.toml");
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let bad = GOOD
        .replace("127.0.0.1:8080", "localhost")
        .replace("https://face", "http://face")
        .replace("\"weu\"\nendpoint", "\"Weu!\"\ntimeuot = 5\nendpoint")
        .replace("f98103e9", "secret-token")
        .replace("[[listen]]", "[server]\nworkers = -1\nheader_timeout = \"5\"\n[[listen]]");
    let mistakes = read(&bad).unwrap_err();
    let places: Vec<_> =
        mistakes.iter().map(|told| told.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        [
            "3:11 'workers' must",
            "4:18 'header_timeout' must",
            "6:11 'address' must",
            "8:8 'name' must",
            "9:1 unknown key",
            "10:12 'endpoint' must",
            "14:17 'token_sha256' must"
        ]
    );
    assert!(!mistakes.concat().contains("secret-token"));
}

#[test]
fn broken_syntax_is_told_without_what_follows_from_it() {
    let mistakes = read("[[listen]\naddress = \n").unwrap_err();
    assert!(mistakes.iter().all(|told| !told.contains("no [[apps]]")), "{mistakes:?}");
    assert!(mistakes.first().unwrap().starts_with("1:"), "{mistakes:?}");
}

#[test]
fn a_missing_key_is_no_mistake_of_the_file_but_known() {
    let config = read(&GOOD.replace("KEY_1", "KEY_9").replace("\"second\"", "\"third\"")).unwrap();
    let told = key_mistakes(&config);
    assert!(told[0].ends_with("the environment variable KEY_9 is not set"), "{told:?}");
    assert!(told[1].contains("the file named here cannot be read"), "{told:?}");
}

#[test]
fn the_environment_is_put_in() {
    let config = read(&GOOD.replace("8080", "${PORT}")).unwrap();
    assert_eq!(config.listeners.first().unwrap().address.port(), 8081);
    let mistakes = read(&GOOD.replace("8080", "${NOPE}")).unwrap_err();
    assert_eq!(mistakes, ["3:11 the environment variable named here is not set"]);
}

#[test]
fn an_apps_mode_is_one_of_four() {
    let mode =
        |line: &str| read(&format!("{GOOD}{line}")).map(|mut config| config.apps.remove(0).digest);
    assert_eq!(mode(""), Ok(Mode::Observe));
    for known in [Mode::Off, Mode::Observe, Mode::Enforce, Mode::Require] {
        assert_eq!(mode(&format!("digest = \"{}\"", known.as_str())), Ok(known));
    }
    assert!(mode("digest = \"on\"").is_err() && mode("digest = true").is_err());
}

#[test]
fn audit_lists_are_enriched_unless_an_app_says_otherwise() {
    let enrich =
        |line: &str| read(&format!("{GOOD}{line}")).map(|mut config| config.apps.remove(0).enrich);
    assert_eq!(enrich(""), Ok(true));
    assert_eq!((enrich("enrich = true"), enrich("enrich = false")), (Ok(true), Ok(false)));
    assert!(enrich("enrich = \"gateway\"").is_err());
}

#[test]
fn ids_are_hashed_in_the_log_unless_that_is_switched_off() {
    let rotate =
        |lines: &str| read(&format!("{GOOD}[access]\n{lines}")).map(|config| config.access.rotate);
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(read(GOOD).unwrap().access.rotate, Some(day));
    assert_eq!((rotate(""), rotate("session = \"hashed\"")), (Ok(Some(day)), Ok(Some(day))));
    assert_eq!(rotate("rotate = \"1h\""), Ok(Some(Duration::from_secs(3600))));
    assert_eq!(rotate("session = \"raw\""), Ok(None));
    for bad in ["session = \"none\"", "rotate = \"0s\"", "rotate = \"745h\"", "rotates = \"1h\""] {
        assert!(rotate(bad).is_err(), "{bad}");
    }
}

#[test]
fn spans_go_where_they_are_sent_and_nowhere_else() {
    let traces = |lines: &str| read(&format!("{GOOD}[traces]\n{lines}")).map(|it| it.traces);
    let endpoint = "endpoint = \"http://127.0.0.1:4318/v1/traces\"\n";
    let told = |lines: &str| {
        let traces = traces(&format!("{endpoint}{lines}")).unwrap().unwrap();
        (traces.endpoint.to_string(), traces.sample)
    };
    let at = || "http://127.0.0.1:4318/v1/traces".to_owned();
    assert_eq!(read(GOOD).unwrap().traces, None);
    assert_eq!((told(""), told("sample = 0.25")), ((at(), 1.0), (at(), 0.25)));
    assert_eq!((told("sample = 0"), told("sample = 1")), ((at(), 0.0), (at(), 1.0)));
    for bad in ["sample = 1.1", "sample = -0.1", "sample = nan", "sample = \"1\"", "one = 1"] {
        assert!(traces(&format!("{endpoint}{bad}")).is_err(), "{bad}");
    }
    for bad in ["", "http://c:4318", "http://a@c/v1", "ftp://c/v1", "/v1/traces", "http://c/v1?a"] {
        assert!(traces(&format!("endpoint = {bad:?}")).is_err(), "{bad}");
    }
    assert!(traces("").is_err());
}

#[test]
fn the_samples_token_is_nobodys() {
    let told = |config: &str| read(config).unwrap().warnings;
    assert_eq!(told(GOOD), [] as [&str; 0]);
    let sample = include_str!("../../../config/livegate.toml");
    assert_eq!(told(sample), ["nobody can call as 'onboarding': its token_sha256 is the sample's"]);
}

#[test]
fn plain_http_is_for_loopback_only() {
    for (endpoint, good) in [
        ("http://127.0.0.1:80", true),
        ("http://[::1]:80", true),
        ("http://localhost", true),
        ("http://10.0.0.1", false),
        ("http://localhost.evil.test", false),
        ("https://face.test/", true),
        ("https://face.test/face", false),
        ("https://user@face.test", false),
        ("ftp://127.0.0.1", false),
        ("face.test", false),
        ("https://face.test:443", true),
        ("https://:443", false),
        ("https://face.test:", false),
        ("https://face.test:0", false),
        ("https://face.test:99999", false),
    ] {
        let told = read(&GOOD.replace("https://face.cognitiveservices.azure.com", endpoint));
        assert_eq!(told.is_ok(), good, "{endpoint} {told:?}");
    }
}

/// The sample of all keys, and the same with every default written out.
#[test]
fn the_sample_is_good_and_its_defaults_are_the_defaults() {
    let sample = include_str!("../../../config/livegate.toml");
    let keyless = |mut config: Config| {
        config
            .upstreams
            .iter_mut()
            .for_each(|upstream| upstream.credential = Credential::Keys([None, None]));
        config
    };
    let short = keyless(read(sample).unwrap());
    // What stands in the place of keys is not there beside them.
    let (before, entra) = sample.split_once("# Instead of keys").unwrap();
    let after = entra.split_once("\n\n").unwrap().1;
    let written_out: String = [before, after]
        .join("\n")
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some("[traces]") => "[traces]",
            Some(key)
                if key.contains(" = ")
                    && !key.contains("tls/")
                    && !key.contains("client_auth")
                    && !key.contains("address")
                    && !key.contains("ca_file")
                    && !key.contains("secondary")
                    // Without them there is no limit.
                    && !key.starts_with("max_requests = 1000 ")
                    && !key.starts_with("per_second = 100 ") =>
            {
                key
            }
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(
        written_out.contains("\nworkers = 0") && written_out.contains("\nrunning_ttl"),
        "{written_out}"
    );
    let long = keyless(read(&written_out).unwrap());
    assert_eq!((short.server, short.admin), (long.server, long.admin));
    assert_eq!((short.cache, short.cache), (long.cache, Cache::default()));
    assert_eq!((short.access, short.access), (long.access, Access::default()));
    assert_eq!((short.upstreams, short.apps), (long.upstreams, long.apps));
    assert_eq!((short.traces, long.traces.map(|traces| traces.sample)), (None, Some(1.0)));
}

/// What the sample says of tokens, with each of the three ways to have one.
#[test]
fn the_sample_of_tokens_is_good() {
    let sample = include_str!("../../../config/livegate.toml");
    let (before, entra) = sample.split_once("# Instead of keys").unwrap();
    let (entra, after) = entra.split_once("\n\n").unwrap();
    let before = before.split_once("[upstreams.keys]").unwrap().0;
    let ways = ["federated_token_file", "client_secret", "managed_identity", "identity_endpoint"];
    for way in 0..3 {
        let others: Vec<_> = (0..4).filter(|it| *it != way && (*it, way) != (3, 2)).collect();
        let lines = entra.lines().skip(1).filter_map(|line| line.strip_prefix("# "));
        let chosen: Vec<_> = lines
            .filter(|line| !others.iter().any(|it| line.starts_with(ways[*it])))
            .filter(|line| way != 2 || !line.starts_with("tenant_id"))
            .collect();
        let config = read(&format!("{before}{}\n{after}", chosen.join("\n"))).unwrap();
        let Credential::Entra(entra) = &config.upstreams[0].credential else {
            panic!("{:?}", config.upstreams);
        };
        assert_eq!(entra.scope, "https://cognitiveservices.azure.com/.default", "{chosen:?}");
    }
}

#[test]
fn the_memory_is_bounded_as_written_and_nothing_switches_it_off() {
    let cache = |lines: &str| read(&format!("{GOOD}[cache]\n{lines}")).map(|config| config.cache);
    let off =
        cache("max_bytes = \"0\"\nttl = \"0s\"\nfailed_ttl = \"0\"\nrunning_ttl = 0\n").unwrap();
    let nothing = Duration::ZERO;
    assert_eq!(
        (off.max_bytes, off.ttl, off.failed_ttl, off.running_ttl),
        (0, nothing, nothing, nothing)
    );
    assert_eq!(cache("ttl = \"48h\"\n").unwrap().ttl, Duration::from_secs(172_800));
    for bad in [
        "ttl = \"49h\"",
        "running_ttl = 1",
        "running_ttl = \"61s\"",
        "max_bytes = \"64\"",
        "size = 1",
    ] {
        assert_eq!(cache(bad).unwrap_err().len(), 1, "{bad}");
    }
    let app = |line: &str| read(&format!("{GOOD}{line}\n")).unwrap().apps.remove(0).allow_no_cache;
    assert!(app("") && app("allow_no_cache = true") && !app("allow_no_cache = false"));
}

#[test]
fn nothing_is_no_token() {
    let empty = const_hex::encode(<[u8; 32]>::from(sha2::Digest::finalize(
        <sha2::Sha256 as sha2::Digest>::new(),
    )));
    let good = "f98103e9217f099208569d295c1b276f1821348636c268c854bb2a086e0037cd";
    assert!(read(&GOOD.replace(good, &empty)).unwrap_err().concat().contains("hash of nothing"));
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let secret = "0123456789abcdefSECRETKEY99";
    let first = "primary = { env = \"KEY_1\" }";
    for wrong in [
        format!("primary = \"{secret}\""),
        format!("primary = {{ env = \"{secret}\" }}"),
        format!("primary = {{ file = \"{secret}\" }}"),
        format!("primary = {{ file = \"${{{secret}}}\" }}"),
        format!("primary = {{ {secret} = \"x\" }}"),
        format!("primary = {{ env = \"KEY_1\", {secret} = 1 }}"),
    ] {
        let told = match read(&GOOD.replace(first, &wrong)) {
            Ok(config) => key_mistakes(&config),
            Err(mistakes) => mistakes,
        };
        assert!(!told.is_empty() && !told.concat().contains(secret), "{told:?}");
    }
    for (good, wrong) in [
        ("https://", "https://user:SECRETKEY@"),
        ("f98103e9", "SECRETKEY"),
        ("\"weu\"", "\"SECRETKEY\""),
    ] {
        let told = read(&GOOD.replace(good, wrong)).unwrap_err().concat();
        assert!(!told.contains("SECRETKEY"), "{told}");
    }
}

fn key_mistakes(config: &Config) -> Vec<String> {
    let Credential::Keys(slots) = &config.upstreams[0].credential else { panic!() };
    let told = slots.iter().flatten().filter_map(|slot| slot.key.as_ref().err());
    told.map(|unusable| unusable.mistake.to_string()).collect()
}

#[test]
fn a_missing_key_is_told_beside_the_mistakes_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("livegate.toml");
    std::fs::write(&path, GOOD.replace("127.0.0.1:8080", "nowhere")).unwrap();
    let loaded = load(&path, &|_| None);
    assert_eq!(loaded.config.unwrap_err().0.len(), 1);
    assert_eq!(loaded.keyless.len(), 2);
}

/// [`GOOD`] with Entra instead of keys.
fn entra(lines: &str) -> Result<Config, Vec<String>> {
    let keys = "keys = { primary = { env = \"KEY_1\" }, secondary = { file = \"second\" } }\n";
    read(&GOOD.replace(keys, &format!("[upstreams.entra]\n{lines}")))
}

#[test]
fn entra_is_one_of_three_ways() {
    let client = "tenant_id = \"t\"\nclient_id = \"c\"\n";
    let secret = format!("{client}client_secret = {{ env = \"S\" }}\n");
    let file = format!("{client}federated_token_file = \"token\"\n");
    let loopback = format!("{file}authority_host = \"http://127.0.0.1:9\"\n");
    let machine = "managed_identity = true\nidentity_endpoint = \"http://169.254.169.254/x\"\n";
    for good in [&secret, &file, &loopback, "managed_identity = true\nclient_id = \"c\"\n", machine]
    {
        let config = entra(good).unwrap();
        assert!(matches!(config.upstreams[0].credential, Credential::Entra(_)), "{good}");
    }
    for (bad, told) in [
        (client, "exactly one of"),
        ("managed_identity = false\n", "exactly one of"),
        ("client_id = \"c\"\nfederated_token_file = \"token\"\n", "'tenant_id' and 'client_id'"),
        (&format!("{secret}federated_token_file = \"token\"\n"), "exactly one of"),
        (&format!("{secret}managed_identity = true\n"), "exactly one of"),
        (&file.replace("\"t\"", "\"a/b\""), "'tenant_id' must"),
        (&file.replace("\"t\"", "\"..\""), "'tenant_id' must"),
        (&format!("{file}authority_host = \"http://10.0.0.1\"\n"), "'authority_host' must"),
        (&format!("{file}authority_host = \"https://h/path\"\n"), "'authority_host' must"),
        (&format!("{file}scope = \"api\"\n"), "'scope' must"),
        (
            "managed_identity = true\nidentity_endpoint = \"http://10.0.0.1/\"\n",
            "'identity_endpoint'",
        ),
        (&format!("{file}token = 1\n"), "unknown key 'token'"),
    ] {
        let mistakes = entra(bad).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].contains(told), "{bad} {mistakes:?}");
    }
}

#[test]
fn keys_and_entra_exclude_each_other_and_regional_addresses_exclude_entra() {
    let both = GOOD.replace("[[apps]]", "entra = { managed_identity = true }\n[[apps]]");
    assert!(read(&both).unwrap_err()[0].contains("a resource has one of them"));
    let neither = GOOD.replace("keys = {", "# {");
    assert!(read(&neither).unwrap_err()[0].contains("'keys' is missing here"));
    let keys = "keys = { primary = { env = \"KEY_1\" }, secondary = { file = \"second\" } }";
    let regional = GOOD
        .replace("face.cognitiveservices.azure.com", "westeurope.api.cognitive.microsoft.com")
        .replace(keys, "entra = { managed_identity = true }");
    assert!(read(&regional).unwrap_err()[0].contains("regional addresses"));
}
