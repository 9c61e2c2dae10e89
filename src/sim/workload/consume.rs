//! A consumer that follows every partition from its beginning.

use super::{BACKOFF, Context, Reader};

/// Reads until it is told to finish.
pub async fn run(cx: Context, id: u32) {
    let mut reader = Reader::new(&cx, id);
    while !cx.is_finishing() {
        let Some(mut client) = cx.connect().await else { continue };
        while !cx.is_finishing() && reader.fetch(&mut client, 200).await.is_ok() {}
        tokio::time::sleep(BACKOFF).await;
    }
}
