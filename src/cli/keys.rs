//! `livegate keys`: one line for each key that says whether it can be regenerated.

use std::fmt::Write as _;

use http::Request;
use serde_json::Value;

use super::plain::fetch;
use super::{Failure, runtime, say};

pub(super) fn keys(admin: &str, json: bool) -> Result<(), Failure> {
    let uri = format!("{}/status", admin.trim_end_matches('/'));
    let request = Request::get(&uri)
        .body(http_body_util::Full::default())
        .map_err(|_| Failure::Wrong(format!("{admin} is no address")))?;
    let answer = runtime(1)?.block_on(fetch(request)).map_err(Failure::Failed)?;
    let status: Option<Value> = serde_json::from_slice(answer.body()).ok();
    let upstreams = status.as_ref().and_then(|status| status.get("upstreams")?.as_array());
    let Some(upstreams) = upstreams.filter(|_| answer.status().is_success()) else {
        return Err(Failure::Failed(format!("{uri}: this is no admin port of livegate")));
    };
    if json {
        say(format_args!("{:#}", serde_json::json!({ "upstreams": upstreams })));
    } else {
        say(upstreams.iter().map(told).collect::<String>().trim_end());
    }
    Ok(())
}

/// What is told of one upstream: two lines for each slot, or for its token.
pub(super) fn told(upstream: &Value) -> String {
    let (mut told, name) = (String::new(), word(upstream, "name"));
    for slot in upstream["keys"].as_array().into_iter().flatten() {
        let serving = if slot["serving"] == true { ", serving" } else { "" };
        let fingerprint = slot["fingerprint"].as_str().unwrap_or("no key");
        let verdict = match word(slot, "verdict") {
            "not safe" => "not safe to regenerate",
            verdict => verdict,
        };
        let reason = word(slot, "reason");
        let head = format!("{name} {} {fingerprint}{serving}", word(slot, "slot"));
        _ = writeln!(told, "{head}: {verdict}: {reason}");
        told.push_str(&history(slot, "loaded", "loadedAt"));
        if let Some(former) = slot["former"].as_str() {
            _ = writeln!(
                told,
                "    the key before it, {former}, is kept until this one is accepted"
            );
        }
        if let Some(problem) = slot["problem"].as_str() {
            _ = writeln!(told, "    the last reading was refused: {problem}");
        }
    }
    if let Some(token) = upstream.get("token") {
        let ends = token["expiresAt"].as_str().unwrap_or("never fetched");
        _ = writeln!(told, "{name} token: ends {ends}");
        told.push_str(&history(token, "fetched", "fetchedAt"));
        if let Some(problem) = token["problem"].as_str() {
            _ = writeln!(told, "    the last fetch failed: {problem}");
        }
    }
    told
}

fn history(of: &Value, begun: &str, begun_at: &str) -> String {
    let at = |key: &str| of[key].as_str().unwrap_or("never");
    let (accepted, refused) = (at("lastAcceptedAt"), at("lastRefusedAt"));
    format!(
        "    {begun} {}, last accepted {accepted}, last refused {refused}, {} requests\n",
        at(begun_at),
        of["requests"]
    )
}

fn word<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_says_whether_it_is_safe() {
        let slot = json!({"slot": "primary", "fingerprint": "9f9f5111", "serving": true, "requests": 7, "verdict": "not safe",
            "reason": "it serves", "loadedAt": "T1", "problem": "empty", "former": "11507a0e"});
        let empty = json!({"slot": "secondary", "serving": false, "requests": 0, "verdict": "unknown", "reason": "none yet"});
        let upstream = json!({"name": "weu", "keys": [slot, empty]});
        let expected = "weu primary 9f9f5111, serving: not safe to regenerate: it serves\n    loaded T1, last accepted never, last refused \
            never, 7 requests\n    the key before it, 11507a0e, is kept until this one is accepted\n    the last reading was refused: empty\n\
            weu secondary no key: unknown: none yet\n    loaded never, last accepted never, last refused never, 0 requests\n";
        assert_eq!(told(&upstream), expected);
    }

    #[test]
    fn a_token_is_told_by_its_end() {
        let token = json!({"expiresAt": "T3", "fetchedAt": "T1", "lastAcceptedAt": "T2", "requests": 3, "problem": "500"});
        let expected = "weu token: ends T3\n    fetched T1, last accepted T2, last refused never, 3 requests\n    the last fetch failed: 500\n";
        assert_eq!(told(&json!({"name": "weu", "token": token})), expected);
    }
}
