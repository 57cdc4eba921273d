//! `livegate health`.

use http::Request;

use super::plain::fetch;
use super::{Failure, runtime, say};

pub(super) fn health(admin: &str) -> Result<(), Failure> {
    let uri = format!("{}/readyz", admin.trim_end_matches('/'));
    let request = Request::get(&uri)
        .body(http_body_util::Full::default())
        .map_err(|_| Failure::Wrong(format!("{admin} is no address")))?;
    let answer = runtime(1)?.block_on(fetch(request)).map_err(Failure::Failed)?;
    let told = String::from_utf8_lossy(answer.body()).trim().to_owned();
    if answer.status().is_success() {
        say(told);
        Ok(())
    } else {
        Err(Failure::Failed(format!("not ready: {told}")))
    }
}
