//! Asks whoever watches the files to look at them now: before a request is given up for lack of a good key.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks for a look at the files.
#[derive(Debug, Clone)]
pub struct Reread(mpsc::UnboundedSender<oneshot::Sender<()>>);

/// Hears who asks. An answer says that what was found is in force.
pub type Asked = mpsc::UnboundedReceiver<oneshot::Sender<()>>;

impl Reread {
    /// One who asks, and one who hears it.
    pub fn channel() -> (Self, Asked) {
        let (ask, asked) = mpsc::unbounded_channel();
        (Self(ask), asked)
    }

    /// Waits until the files were looked at, if anybody does.
    pub(super) async fn now(&self) {
        let (done, heard) = oneshot::channel();
        if self.0.send(done).is_ok() {
            drop(timeout(PATIENCE, heard).await);
        }
    }
}
