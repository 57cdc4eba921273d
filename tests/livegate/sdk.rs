//! Azure's own clients, unmodified and pinned, through the gateway over TLS: every call that they offer for
//! liveness sessions, as a success and as a failure.
//!
//! The gateway stands before the emulator. After each call the emulator's recording is looked at: what arrived
//! must bear the gateway's key, the client's own request id, and nowhere the app's token.

mod client;
mod gateway;
mod journey;
mod operation;
mod stand;

use self::journey::Journey;
use crate::support::kit::Kit;

/// Every client with every api-version that it speaks.
macro_rules! clients {
    ($($name:ident: $kit:ident, $version:literal;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn creates_finds_and_deletes_sessions() {
                Journey::new(Kit::$kit, $version).lives();
            }

            #[test]
            fn reads_sessions_in_every_state() {
                Journey::new(Kit::$kit, $version).states();
            }

            #[test]
            fn is_told_from_memory_what_it_would_be_told_by_azure() {
                Journey::remembers(Kit::$kit, $version);
            }

            #[test]
            fn reads_what_was_decided_and_whether_to_trust_it() {
                Journey::new(Kit::$kit, $version).verdicts();
            }

            #[test]
            fn reads_lists_page_by_page() {
                Journey::new(Kit::$kit, $version).lists();
            }

            #[test]
            fn is_told_why_it_is_refused() {
                Journey::new(Kit::$kit, $version).refusals();
            }

            #[test]
            fn is_let_in_with_a_bearer_token() {
                Journey::new(Kit::$kit, $version).bears();
            }

            #[test]
            fn reads_answers_that_come_oddly() {
                Journey::new(Kit::$kit, $version).oddities();
            }

            #[test]
            fn tries_again_where_azure_asks_for_it() {
                Journey::new(Kit::$kit, $version).retries();
            }
        }
    )*};
}

clients! {
    python_b1: PythonBeta1, "v1.1-preview.1";
    python_b2: PythonBeta2, "v1.2-preview.1";
    python_b2_of_the_first_preview: PythonBeta2, "v1.1-preview.1";
    js_beta1: JsBeta1, "v1.1-preview.1";
    js_beta3: JsBeta3, "v1.2";
    js_beta3_of_the_next_preview: JsBeta3, "v1.3-preview.1";
}
