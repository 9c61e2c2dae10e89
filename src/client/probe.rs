//! A question to a place: is anybody there?

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use crate::env::Net;

/// How long an answer may take. A system that is up answers at once, whether somebody listens or not.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// True if the system at `host` says that nobody listens on `port`: the process that did is gone. Silence says nothing.
pub async fn is_refused(net: &dyn Net, host: &str, port: u16) -> bool {
    match timeout(ANSWER_MAX, net.connect(host, port)).await {
        Ok(Err(e)) => e.kind() == io::ErrorKind::ConnectionRefused,
        Ok(Ok(_)) | Err(_) => false,
    }
}
