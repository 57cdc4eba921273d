//! What a device's user agent tells of it: products with versions and comments (RFC 9110 §10.1.5), of which only known ones
//! count.
//!
//! What Azure's SDKs for devices send is not published, so that names are read which its packages have, and those that its
//! guidelines ask for.

use serde::Serialize;

/// Longest version that is told, in bytes.
const LONGEST_VERSION: usize = 32;

/// Platforms, by the words that name them. The first one counts: Android names Linux too, and iOS the Mac.
const PLATFORMS: [(&str, &[&str]); 6] = [
    ("android", &["Android"]),
    ("ios", &["iPhone", "iPad", "iPod", "iOS"]),
    ("windows", &["Windows"]),
    ("macos", &["Macintosh"]),
    ("chromeos", &["CrOS"]),
    ("linux", &["Linux"]),
];

/// What the names of SDKs begin with, in small letters and without what separates words: their packages
/// (`azure-ai-vision-face-ui`, `AzureAIVisionFaceUI`), and what Azure's guidelines ask of SDKs (`azsdk-android-…`).
const SDKS: [&str; 2] = ["azureaivision", "azsdk"];

/// A device and its SDK, as far as they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Client<'a> {
    /// The platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<&'static str>,
    /// The version of the SDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdk: Option<&'a str>,
}

impl<'a> Client<'a> {
    /// What a user agent tells, if anything.
    pub fn parse(agent: &'a str) -> Option<Self> {
        let words = agent.as_bytes().split(|byte| !byte.is_ascii_alphanumeric());
        let platform = words.filter_map(platform).min().and_then(|first| PLATFORMS.get(first));
        let named = products(agent).filter_map(|product| product.split_once('/'));
        let sdk = named.filter(|(name, _)| is_sdk(name)).map(|(_, version)| version).next();
        let sdk = sdk.filter(|version| is_version(version));
        let known = platform.is_some() || sdk.is_some();
        known.then_some(Self { platform: platform.map(|(name, _)| *name), sdk })
    }
}

/// The devices of a list. Mostly all its entries are of one, so that the last user agent is remembered.
#[derive(Debug, Default)]
pub struct Clients<'a>(Option<(&'a str, Option<Client<'a>>)>);

impl<'a> Clients<'a> {
    /// What a user agent tells, if anything.
    pub fn of(&mut self, agent: &'a str) -> Option<Client<'a>> {
        let (_, client) = match self.0 {
            Some(last) if last.0 == agent => last,
            _ => (agent, Client::parse(agent)),
        };
        self.0 = Some((agent, client));
        client
    }
}

/// What is separated by spaces outside of comments, which may hold others.
fn products(agent: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut escaped) = (0_usize, false);
    agent.split(move |c: char| {
        let was_inside = depth > 0;
        match c {
            _ if escaped => escaped = false,
            '\\' if was_inside => escaped = true,
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        was_inside || depth > 0 || c == ' ' || c == '\t'
    })
}

/// Which platform a word names.
fn platform(word: &[u8]) -> Option<usize> {
    PLATFORMS.iter().position(|(_, words)| words.iter().any(|is| is.as_bytes() == word))
}

fn is_sdk(name: &str) -> bool {
    let letters = name.bytes().filter(|byte| !b"-_".contains(byte));
    let begins = |start: &str| {
        let mut letters = letters.clone();
        start.bytes().all(|byte| letters.next().is_some_and(|is| is.eq_ignore_ascii_case(&byte)))
    };
    SDKS.iter().any(|start| begins(start))
}

/// Two to four numbers, and a pre-release label perhaps: `1.4.8`, `1.0.0-beta.3`.
fn is_version(version: &str) -> bool {
    let (numbers, label) = version.split_once('-').unwrap_or((version, "x"));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    version.len() <= LONGEST_VERSION
        && (2..=4).contains(&numbers.split('.').count())
        && numbers.split('.').all(number)
        && !label.is_empty()
        && label.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_has_its_own_device() {
        let mut clients = Clients::default();
        let mut of = |agent| clients.of(agent).and_then(|client| client.platform);
        let told = ["Android", "Android", "iOS", "x", "Android"].map(&mut of);
        assert_eq!(told, [Some("android"), Some("android"), Some("ios"), None, Some("android")]);
    }

    #[test]
    fn what_is_known_is_told_and_nothing_else() {
        let told = |agent| Client::parse(agent).map(|client| (client.platform, client.sdk));
        for (agent, expected) in [
            ("", None),
            ("curl/8.5.0", None),
            ("Dalvik/2.1.0", None),
            // The published sample.
            (
                "Mozilla/5.0 (Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/117.0.0.0 Mobile Safari/537.36",
                Some((Some("linux"), None)),
            ),
            ("Mozilla/5.0 (Linux; Android 15; K)", Some((Some("android"), None))),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)", Some((Some("ios"), None))),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", Some((Some("windows"), None))),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", Some((Some("macos"), None))),
            ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0)", Some((Some("chromeos"), None))),
            ("Androidish/1.0 (linux)", None),
            ("azure-ai-vision-face-ui/1.4.8 (Android 14)", Some((Some("android"), Some("1.4.8")))),
            (
                "AzureAIVisionFaceUI/1.0.0-beta.3 iOS/17.5",
                Some((Some("ios"), Some("1.0.0-beta.3"))),
            ),
            ("azsdk-android-ai-vision-face-ui/1.4", Some((None, Some("1.4")))),
            (
                "Mozilla/5.0 (Android (\\) x/1.0) y/2.0) azure_ai_vision/1.2.3.4",
                Some((Some("android"), Some("1.2.3.4"))),
            ),
            ("Mozilla/5.0 (azure-ai-vision/1.2)", None),
            ("azure-ai-vision/1", None),
            ("azure-ai-vision/1.2.3.4.5", None),
            ("azure-ai-vision/1.x", None),
            ("azure-ai-vision/1.2-", None),
            ("azure-ai-vision/1.2-a+b", None),
            ("azure-ai-vision/1.2\"", None),
            ("azure-ai-vision/1..2", None),
            ("notazure-ai-vision/1.2", None),
            ("azure-ai-vision/1.2-abcdefghijklmnopqrstuvwxyzabcd", None),
            ("azure-ai-vision/x azure-ai-vision/1.2", None),
        ] {
            assert_eq!(told(agent), expected, "{agent}");
        }
    }
}
