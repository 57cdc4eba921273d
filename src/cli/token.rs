//! `livegate token`.

use sha2::{Digest as _, Sha256};

use super::{Failure, say};
use crate::config;

pub(super) fn token(name: &str) -> Result<(), Failure> {
    if !config::is_name(name) {
        return Err(Failure::Wrong(
            "an app's name is 1 to 32 of a-z, 0-9, '-' and '_', since it is a label of metrics"
                .to_owned(),
        ));
    }
    let token = make().map_err(Failure::failed)?;
    let hash = const_hex::encode(Sha256::digest(&token));
    say(format_args!("{token}\n"));
    say(
        "This is the only time that the token is shown. Give it to the app as its key; the configuration holds its hash:\n",
    );
    say(format_args!(
        "[[apps]]\nname = \"{name}\"\ntoken_sha256 = [\"{hash}\"]\nupstream = \"NAME\"   # one of the [[upstreams]]"
    ));
    Ok(())
}

/// 256 random bits of the crypto provider's generator, behind a prefix that secret scanners can know.
fn make() -> Result<String, &'static str> {
    let mut bits = [0; 32];
    config::provider()
        .secure_random
        .fill(&mut bits)
        .map_err(|_| "the system gives no random numbers")?;
    Ok(format!("lg_{}", const_hex::encode(bits)))
}
