//! How long what was reported lasts, and for whom.

use super::stage::{
    FIRST, SECOND, STRANGE, ask_as, ga, put, register, say, stands, twice, verdict, verify,
};
use crate::memory::azure::{Azure, error};
use crate::memory::stage::{Stage, hit, preview, session};
use crate::reload::hash;
use crate::support::http::Request;

#[test]
fn it_counts_whether_it_came_before_or_after_the_decision() {
    let stage = Stage::set();
    let path = session("abc");
    say(&stage, &path, &ga("Running", &[]));
    assert_eq!(verdict(&stage.get(&path)), Some("pending"));
    stands(&register(&stage, "abc", FIRST, Some(1)), "pending");
    assert_eq!(verdict(&stage.get(&path)), Some("pending"));
    say(&stage, &path, &twice());
    assert_eq!(verdict(&stage.get(&path)), Some("other-attempt;attempt=1"));
    stands(&register(&stage, "abc", SECOND, Some(2)), "match;attempt=2");
    assert_eq!(verdict(&stage.get(&path)), Some("match;attempt=2"));
}

#[test]
fn it_outlives_a_reload_and_a_purge() {
    let stage = Stage::set();
    let path = session("abc");
    say(&stage, &path, &twice());
    stands(&register(&stage, "abc", SECOND, None), "pending");
    stage.reload("tier = \"unlimited\"\n", "tier = \"unlimited\"\nmax_answer = \"1MiB\"\n");
    assert_eq!(verdict(&stage.get(&path)), Some("match;attempt=2"));
    hit(&stage.get(&path));
    for query in ["?session=abc", "", "?session=all"] {
        let purge = Request::new("POST", &format!("/cache/purge{query}"));
        assert_eq!(purge.send(stage.gateway.admin).status, 200);
        let before = stage.azure.calls(&path);
        assert_eq!(verdict(&stage.get(&path)), Some("match;attempt=2"), "{query}");
        assert_eq!(stage.azure.calls(&path), before + 1, "{query}");
        assert_eq!(register(&stage, "abc", STRANGE, None).status, 409, "{query}");
    }
}

#[test]
fn a_deletion_through_the_gateway_ends_it() {
    let stage = Stage::set();
    for (id, path) in
        [("a", session("a")), ("b", preview("b")), ("c", verify("c")), ("d", session("D"))]
    {
        stands(&register(&stage, id, FIRST, None), "pending");
        stands(&register(&stage, id, FIRST, Some(1)), "pending");
        stands(&register(&stage, "stays", SECOND, None), "pending");
        assert_eq!(stage.delete(&path).status, 204);
        say(&stage, &session(id), &twice());
        assert_eq!(verdict(&stage.get(&session(id))), Some("unreported"), "{path}");
        for attempt in [None, Some(1)] {
            assert_eq!(register(&stage, id, SECOND, attempt).status, 204, "{path}");
        }
    }
    assert_eq!(register(&stage, "stays", FIRST, None).status, 409);
}

#[test]
fn a_deletion_of_what_is_not_there_ends_nothing() {
    let stage = Stage::set();
    stands(&register(&stage, "abc", FIRST, None), "pending");
    stage.azure.says_in_turn("DELETE", &session("abc"), [error(404, "SessionNotFound", &[])]);
    assert_eq!(stage.delete(&session("abc")).status, 404);
    // It may be the twin's.
    assert_eq!(register(&stage, "abc", SECOND, None).status, 409);
}

#[test]
fn who_may_not_delete_ends_nothing() {
    const READER: &str = "app-token-reader-0123456789";
    let stage = Stage::built(|builder| builder.app("reader", READER, &["session"]));
    stands(&register(&stage, "abc", FIRST, None), "pending");
    let delete = Request::new("DELETE", &session("abc")).key(READER);
    assert_eq!(delete.send(stage.gateway.public).status, 403);
    assert_eq!(register(&stage, "abc", SECOND, None).status, 409);
}

#[test]
fn another_resource_has_other_sessions() {
    const OTHER: &str = "app-token-other-0123456789";
    let second = Azure::start();
    let tables = format!(
        "[[upstreams]]\nname = \"second\"\nendpoint = \"{}\"\ntier = \"unlimited\"\n\
         [upstreams.keys]\nprimary = {{ file = \"azure.key\" }}\n\
         [[apps]]\nname = \"other\"\ntoken_sha256 = [\"{}\"]\nupstream = \"second\"\n",
        second.url(),
        hash(OTHER)
    );
    let stage = Stage::built(|builder| builder.more(&tables));
    let path = session("abc");
    say(&stage, &path, &twice());
    second.says(&path, crate::memory::azure::ok(&twice().to_string()));
    stands(&register(&stage, "abc", SECOND, None), "pending");
    assert_eq!(verdict(&stage.get(&path)), Some("match;attempt=2"));
    let ask = || ask_as(&stage, OTHER, &path, None);
    assert_eq!(verdict(&ask()), Some("unreported"));
    // It has a place of its own, and a memory too.
    let content = format!("{{\"digest\":\"{STRANGE}\"}}");
    stands(&put(&stage, OTHER, "abc", content), "mismatch");
    assert_eq!(verdict(&ask()), Some("mismatch"));
    assert_eq!(verdict(&stage.get(&path)), Some("match;attempt=2"));
    assert_eq!((stage.azure.calls(&path), second.calls(&path)), (1, 1));
}
