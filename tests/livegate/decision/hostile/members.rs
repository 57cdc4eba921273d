//! Members that matter, of another type than the API's description has, out of their range, or there twice.

use super::{attempts, entry, ga, good, numbered, old, readable, unreadable, unreadable_texts};
use crate::decision::stage::{FIRST, SECOND};
use crate::memory::stage::{preview, session};

/// The same with one attempt that has these members beside its id.
fn attempt(members: &str) -> String {
    attempts(&format!("{{\"attemptId\":1,{members}}}"))
}

/// The same with one attempt of this result.
fn result(members: &str) -> String {
    attempt(&format!("\"attemptStatus\":\"Succeeded\",\"result\":{{{members}}}"))
}

#[test]
fn members_of_another_type() {
    let one = "realface;attempt=1;attempts=1";
    let good = "\"livenessDecision\":\"realface\"";
    readable(
        &session("abc"),
        one,
        [
            result(good),
            result(&format!("{good},\"verifyResult\":{{\"matchConfidence\":1}}")),
            result(&format!("{good},\"verifyResult\":{{\"matchConfidence\":0}}")),
            // What does not matter may be anything.
            result(&format!("{good},\"targets\":7,\"sessionImageId\":[]")),
        ],
    );
    let verify = |member: &str| result(&format!("{good},\"verifyResult\":{{{member}}}"));
    unreadable_texts(
        &session("abc"),
        [
            ga("\"results\":[]"),
            ga("\"results\":\"none\""),
            ga("\"results\":7"),
            ga("\"results\":{\"attempts\":{}}"),
            ga("\"results\":{\"attempts\":\"none\"}"),
            attempts("7"),
            attempts("\"a\""),
            attempts("[]"),
            attempts("null"),
            attempt("\"attemptStatus\":5"),
            attempt("\"attemptStatus\":{}"),
            attempt("\"result\":[]"),
            attempt("\"result\":\"realface\""),
            attempt("\"result\":1"),
            attempt("\"attemptStatus\":\"Failed\",\"error\":\"No\""),
            attempt("\"attemptStatus\":\"Failed\",\"error\":{\"code\":5}"),
            result("\"livenessDecision\":7"),
            result("\"livenessDecision\":[\"realface\"]"),
            result("\"livenessDecision\":true"),
            result(&format!("{good},\"digest\":7")),
            result(&format!("{good},\"digest\":{{}}")),
            result(&format!("{good},\"verifyImageHash\":7")),
            result(&format!("{good},\"verifyResult\":\"x\"")),
            result(&format!("{good},\"verifyResult\":0.9")),
            verify("\"isIdentical\":\"true\""),
            verify("\"isIdentical\":1"),
            verify("\"matchConfidence\":\"0.9\""),
            verify("\"matchConfidence\":[]"),
        ]
        .iter()
        .map(String::as_str),
    );
}

#[test]
fn members_of_another_type_in_the_previews() {
    let body =
        |content: &str| entry(&format!("\"response\":{{\"statusCode\":200,\"body\":{content}}}"));
    readable(&preview("abc"), "realface", [body("{\"livenessDecision\":\"realface\"}")]);
    let digest = format!("\"digest\":\"{FIRST}\"");
    unreadable_texts(
        &preview("abc"),
        [
            "{\"status\":\"ResultAvailable\",\"sessionExpired\":\"true\"}".to_owned(),
            "{\"status\":\"ResultAvailable\",\"sessionExpired\":1}".to_owned(),
            old("\"result\":[]"),
            old("\"result\":\"x\""),
            old("\"result\":7"),
            entry("\"digest\":7"),
            entry("\"digest\":{}"),
            entry("\"verifyImageHash\":7"),
            entry(&format!("{digest},\"response\":\"x\"")),
            entry(&format!("{digest},\"response\":[]")),
            entry(&format!("{digest},\"response\":{{\"statusCode\":\"200\",\"body\":{{}}}}")),
            body("{\"livenessDecision\":7}"),
            body("{\"livenessDecision\":\"realface\",\"verifyResult\":{\"isIdentical\":\"no\"}}"),
            body("{\"livenessDecision\":\"realface\",\"verifyResult\":{\"matchConfidence\":7}}"),
        ]
        .iter()
        .map(String::as_str),
    );
}

#[test]
fn numbers_out_of_their_range() {
    let least = [numbered("1")].map(|one| attempts(&one));
    readable(&session("abc"), "realface;attempt=1;attempts=1", least);
    let most = [attempts(&numbered("999999999999999"))];
    readable(&session("abc"), "realface;attempt=999999999999999;attempts=1", most);
    let ids = [
        "0",
        "-1",
        "1.5",
        "\"1\"",
        "true",
        "[]",
        "{}",
        "1e999",
        "1000000000000000",
        "12345678901234567890",
        "99999999999999999999",
        "-99999999999999999999",
        "01",
    ];
    let confidences =
        ["7", "-0.1", "1.0000001", "1e999", "-1e999", "NaN", "Infinity", "99999999999999999999"];
    let with = |confidence: &&str| {
        result(&format!(
            "\"livenessDecision\":\"realface\",\"digest\":\"{FIRST}\",\
             \"verifyResult\":{{\"matchConfidence\":{confidence},\"isIdentical\":true}}"
        ))
    };
    let bodies: Vec<_> = ids
        .iter()
        .map(|id| attempts(&numbered(id)))
        .chain(confidences.iter().map(with))
        .map(String::into_bytes)
        .collect();
    unreadable(&session("abc"), bodies);
}

#[test]
fn members_that_matter_and_stand_twice() {
    let one = numbered("1");
    let list = format!("\"attempts\":[{one}]");
    let results = format!("\"results\":{{{list}}}");
    let digest = format!("\"digest\":\"{FIRST}\"");
    let unknown = ga(&format!("\"x\":1,{results},\"x\":2"));
    readable(&session("abc"), "realface;attempt=1;attempts=1", [ga(&results), unknown]);
    unreadable_texts(
        &session("abc"),
        [
            ga(&format!("{results},\"status\":\"Running\"")),
            ga(&format!("{results},\"status\":\"Succeeded\"")),
            // The same name, written otherwise.
            ga(&format!("{results},\"st\\u0061tus\":\"Running\"")),
            ga(&format!("{results},{results}")),
            ga(&format!("\"results\":{{{list},{list}}}")),
            ga(&format!("\"results\":{{{list},\"\\u0061ttempts\":[]}}")),
            attempt(&format!("\"attemptId\":1,\"result\":{}", good(FIRST))),
            attempt(&format!("\"result\":{},\"result\":{}", good(FIRST), good(SECOND))),
            attempt("\"attemptStatus\":\"Failed\",\"attemptStatus\":\"Succeeded\",\"result\":{}"),
            result(&format!("{digest},\"digest\":\"{SECOND}\"")),
            result(&format!(
                "\"livenessDecision\":\"spoofface\",{digest},\"livenessDecision\":\"realface\""
            )),
            result("\"verifyResult\":{\"isIdentical\":false,\"isIdentical\":true}"),
        ]
        .iter()
        .map(String::as_str),
    );
    unreadable_texts(
        &preview("abc"),
        [
            old("\"status\":\"Started\""),
            old("\"sessionExpired\":false"),
            entry(&format!("{digest},\"digest\":\"{SECOND}\"")),
            entry(
                "\"response\":{\"statusCode\":200,\"body\":\
                 {\"livenessDecision\":\"spoofface\",\"livenessDecision\":\"realface\"}}",
            ),
        ]
        .iter()
        .map(String::as_str),
    );
}

/// A list with the same values in some order is no object.
#[test]
fn lists_in_the_place_of_objects() {
    let one = numbered("1");
    let listed = format!("[1,\"Succeeded\",{},null,null]", good(FIRST));
    let results = format!("{{\"attempts\":[{one}]}}");
    let values = format!("[\"realface\",\"{FIRST}\",null,null]");
    unreadable_texts(
        &session("abc"),
        [
            format!("[\"Succeeded\",\"t\",\"2024-11-15\",{results}]"),
            format!("[\"Succeeded\",null,null,{results}]"),
            ga(&format!("\"results\":[[{one}]]")),
            ga("\"results\":[null]"),
            attempts(&listed),
            attempts("[1,\"Succeeded\"]"),
            attempt(&format!("\"attemptStatus\":\"Succeeded\",\"result\":{values}")),
            attempt("\"attemptStatus\":\"Succeeded\",\"result\":[\"realface\"]"),
            attempt("\"attemptStatus\":\"Failed\",\"error\":[\"FaceWithMaskDetected\"]"),
            attempt("\"attemptStatus\":\"Failed\",\"error\":[]"),
            result("\"livenessDecision\":\"realface\",\"verifyResult\":[true,0.9]"),
            result("\"livenessDecision\":\"realface\",\"verifyResult\":[]"),
        ]
        .iter()
        .map(String::as_str),
    );
}

#[test]
fn lists_in_the_place_of_objects_in_the_previews() {
    let response = "\"response\":{\"statusCode\":200,\"body\":";
    let decided = "{\"livenessDecision\":\"realface\"}";
    unreadable_texts(
        &preview("abc"),
        [
            "[\"ResultAvailable\",true,null,null,null]".to_owned(),
            format!("[\"ResultAvailable\",true,null,null,{{\"id\":1,{response}{decided}}}}}]"),
            old(&format!("\"result\":[1,\"{FIRST}\",null,{{\"body\":{decided}}}]")),
            old("\"result\":[1]"),
            entry(&format!("\"response\":[{decided},200]")),
            entry(&format!("{response}[\"realface\"]}}")),
            entry(&format!("{response}[]}}")),
            entry(&format!(
                "{response}{{\"livenessDecision\":\"realface\",\"verifyResult\":[true]}}}}"
            )),
            entry(&format!("{response}{{\"error\":[\"FaceWithMaskDetected\"]}}}}")),
        ]
        .iter()
        .map(String::as_str),
    );
}
