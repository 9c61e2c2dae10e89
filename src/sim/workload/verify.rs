//! A reader that reads everything, when nobody writes any more: all records, and the offsets of all groups.

use std::io;

use super::{BACKOFF, Context, EARLIEST, LATEST, Reader, TEAM, VERIFIER, commit, list_offset};
use crate::sim::model::Event;
use crate::sim::route::Routed;

/// Reads all partitions from their beginnings to their ends. Tries until it has.
pub async fn run(cx: &Context) {
    loop {
        let Some(mut client) = cx.connect().await else { continue };
        if read_all(cx, &mut client).await.is_ok() {
            return;
        }
        tokio::time::sleep(BACKOFF).await;
    }
}

async fn read_all(cx: &Context, client: &mut Routed) -> io::Result<()> {
    let mut reader = Reader::new(cx, VERIFIER);
    let mut bounds = Vec::new();
    for (slot, position) in &mut reader.positions {
        let start = list_offset(client, *slot, EARLIEST).await?;
        let end = list_offset(client, *slot, LATEST).await?;
        cx.model.see(Event::Begins { slot: *slot, start });
        *position = start;
        bounds.push((*slot, start, end));
    }
    while reader.positions.iter().zip(&bounds).any(|((_, position), (_, _, end))| position < end) {
        reader.fetch(client, 100).await?;
    }
    for (slot, start, end) in bounds {
        // What retention took meanwhile is not there: the whole is what is left.
        let now = list_offset(client, slot, EARLIEST).await?;
        cx.model.see(Event::Whole { slot, start: start.max(now), end });
    }
    let team = (cx.options.members > 0).then_some(TEAM);
    for group in (0..cx.options.committers).chain(team) {
        let client = commit::coordinator(client, group).await?;
        for slot in cx.slots() {
            commit::fetch(cx, VERIFIER, group, client, slot).await?;
        }
    }
    Ok(())
}
