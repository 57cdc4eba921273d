//! What a client finds that Azure does not have: the memory, decisions and verdicts.

use serde_json::json;

use super::journey::{DIGEST, Journey, TWINS};
use super::operation::Call;
use super::stand::Stand;
use crate::support::kit::Kit;

const ID: &str = "5e551017-0000-4000-8000-00000000000a";

impl Journey {
    /// A final session from the gateway's memory, until it is deleted.
    pub(super) fn remembers(kit: Kit, version: &'static str) {
        let mut this = Self { stand: Stand::remembering(kit, version) };
        let plan = json!({"attempts": [{"decision": "realface", "digest": DIGEST}]});
        for twin in TWINS {
            // Long enough ago for a preview's session to have expired.
            this.stand.put(twin, ID, 700, &plan);
            let asked = this.stand.reaches(&Call::Get(twin, ID));
            assert_eq!(asked.header("cache-status"), Some("livegate; fwd=miss; stored"));
            let before = this.stand.emulator.requests().len();
            let hit = this.stand.client.make(&Call::Get(twin, ID));
            assert_eq!(this.stand.emulator.requests().len(), before);
            assert!(hit.header("cache-status").is_some_and(|it| it.starts_with("livegate; hit")));
            assert_eq!(hit.value(), asked.value());
            this.assert_success(twin, hit.value(), Some("realface"));
            this.stand.reaches(&Call::Delete(twin, ID));
            let gone = this.stand.client.make(&Call::Get(twin, ID));
            assert_eq!(gone.failure(), (404, Some("SessionNotFound")));
        }
    }

    /// Two headers tell what was decided and whether to trust it.
    pub(super) fn verdicts(mut self) {
        let plan = json!({"attempts": [{"decision": "spoofface", "digest": DIGEST}]});
        let wrong = DIGEST.replace('1', "2");
        for twin in TWINS {
            self.stand.put(twin, ID, 700, &plan);
            let lower = DIGEST.to_ascii_lowercase();
            for (digest, verdict) in [(&lower, "match"), (&wrong, "mismatch")] {
                let outcome = self.stand.reaches(&Call::Check(twin, ID, digest));
                let word = |name| outcome.header(name).and_then(|value| value.split(';').next());
                assert_eq!(word("liveness-decision"), Some("spoofface"), "{outcome:?}");
                assert_eq!(word("liveness-digest"), Some(verdict), "{outcome:?}");
            }
        }
    }
}
