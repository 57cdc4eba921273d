//! What a user agent says of the device: its platform, and the version of Azure's SDK.

use serde_json::{Value, json};

use super::stage::{enriched, entry, with, without};
use crate::memory::stage::Stage;

/// What is told of each of these user agents.
fn clients(stage: &Stage, agents: &[&str]) -> Vec<Value> {
    let numbered = (1..).zip(agents);
    let entries = numbered.map(|(number, agent)| with(entry(number), "request.userAgent", *agent));
    let added = enriched(stage, &entries.collect::<Vec<_>>());
    added.iter().map(|added| added.get("client").cloned().unwrap_or_default()).collect()
}

/// Asserts what is told of each, under the name of one member.
#[track_caller]
fn told(member: &str, cases: &[(&str, Option<&str>)]) {
    let stage = Stage::set();
    let agents: Vec<_> = cases.iter().map(|(agent, _)| *agent).collect();
    for ((agent, expected), client) in cases.iter().zip(clients(&stage, &agents)) {
        let expected = expected.map_or(Value::Null, |word| json!({member: word}));
        assert_eq!(client, expected, "{agent}");
    }
}

#[test]
fn a_platform_is_told_by_its_words() {
    told(
        "platform",
        &[
            ("Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/117.0.0.0 Mobile", Some("android")),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1", Some("ios")),
            ("Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X)", Some("ios")),
            ("Mozilla/5.0 (iPod touch)", Some("ios")),
            ("App/3 (iOS 17.2)", Some("ios")),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", Some("windows")),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", Some("macos")),
            ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0)", Some("chromeos")),
            ("Mozilla/5.0 (X11; Linux x86_64)", Some("linux")),
            // As in Azure's own sample.
            (
                "Mozilla/5.0 (Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0",
                Some("linux"),
            ),
            // The first of the platforms that are named, wherever it stands.
            ("App/1 (Linux) Other/2 (Macintosh; Android)", Some("android")),
            ("App/1 (CrOS; Macintosh; Windows; iPad)", Some("ios")),
            ("App/1 (Linux; CrOS)", Some("chromeos")),
            ("App/1 (CrOS; Macintosh)", Some("macos")),
            ("App/1 (Macintosh; Windows)", Some("windows")),
            // A comment within a comment.
            ("App/1 (a (Android 14) b)", Some("android")),
            // What is no word of these.
            ("App/1 (Androidish; Windowsill; Linuxes)", None),
            ("App/1 (Darwin 23.0)", None),
            ("Mozilla/5.0", None),
            ("", None),
        ],
    );
}

#[test]
fn a_version_of_azures_sdk_is_told() {
    let longest = format!("AzureAIVision/1.2.3-{}", "a".repeat(26));
    let too_long = format!("AzureAIVision/1.2.3-{}", "a".repeat(27));
    let label = format!("1.2.3-{}", "a".repeat(26));
    told(
        "sdk",
        &[
            ("AzureAIVision/1.4.8", Some("1.4.8")),
            ("azure-ai-vision-face-ui/0.17", Some("0.17")),
            ("Azure_AI_Vision_FaceUI/0.17.1.2 Other/9.9", Some("0.17.1.2")),
            ("App/7.7 AZUREAIVISIONFACE/1.0.0-beta.2", Some("1.0.0-beta.2")),
            ("azsdk-android-vision/1.2.3", Some("1.2.3")),
            ("AZSDK-js-vision/10.20", Some("10.20")),
            ("App/3 (a (b) c) AzureAIVision/1.2 (d)", Some("1.2")),
            (&longest, Some(&label)),
            (&too_long, None),
            ("AzureAIVision/1", None),
            ("AzureAIVision/1.2.3.4.5", None),
            ("AzureAIVision/1.2.", None),
            ("AzureAIVision/v1.2", None),
            ("AzureAIVision/1.2.3+build", None),
            ("AzureAIVision/1.2.3-", None),
            ("AzureAIVision/1.2.3-a_b", None),
            ("AzureAIVision/1.2beta", None),
            ("AzureAIVision", None),
            // The first of such products, and nothing else, counts.
            ("AzureAIVision/1 AzureAIVision/1.2", None),
            ("azsdk-a/1.1 AzureAIVision/2.2", Some("1.1")),
            ("MyAzureAIVision/1.2", None),
            ("AzureAI/1.2", None),
            ("App/1.2", None),
        ],
    );
}

/// RFC 9110 §10.1.5: what stands in parentheses is a comment, and no product.
#[test]
fn a_comment_names_no_sdk() {
    told(
        "sdk",
        &[
            ("App/1.2 (AzureAIVision/1.4.8)", None),
            ("App/1.2 (a \\) AzureAIVision/1.4.8)", None),
            ("App/1.2 (azsdk-a/1.1) AzureAIVision/1.4.8", Some("1.4.8")),
        ],
    );
}

#[test]
fn both_are_told_where_both_are_there_and_nothing_of_what_is_no_user_agent() {
    let stage = Stage::set();
    let clients = clients(
        &stage,
        &[
            "AzureAIVision/1.4.8 (iOS 17.2; iPhone15,3)",
            "((((((",
            "))) / (",
            "\u{1F600}\n\"",
            "/1.2.3",
        ],
    );
    assert_eq!(clients[0], json!({"platform": "ios", "sdk": "1.4.8"}));
    assert_eq!(clients[1..], vec![Value::Null; 4]);
    let added = enriched(&stage, &[without(entry(1), "request.userAgent")]);
    assert_eq!(added[0].get("client"), None);
}
