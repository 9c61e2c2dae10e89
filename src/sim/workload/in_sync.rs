//! Somebody who waits until every replica is in sync, in the eyes of every node.

use std::io;

use super::{BACKOFF, Context, kafka_topic};
use crate::schema::api::metadata_request::MetadataRequestTopic;
use crate::sim::route::Routed;

/// Waits for it.
pub async fn wait(cx: &Context) {
    // What was wrong last is written down, for whoever waits in vain.
    let mut last = String::new();
    for place in cx.places.iter() {
        loop {
            let client = Routed::connect(&cx.net, place.clone(), cx.patience()).await;
            if let Ok(mut client) = client {
                match are_in_sync(cx, &mut client).await {
                    Ok(lack) if lack.is_empty() => break,
                    Ok(lack) if lack == last => {}
                    Ok(lack) => {
                        cx.model.note(format!("{} lacks replicas: {lack}", place.0));
                        last = lack;
                    }
                    Err(_) => {}
                }
            }
            tokio::time::sleep(BACKOFF).await;
        }
    }
}

async fn are_in_sync(cx: &Context, client: &mut Routed) -> io::Result<String> {
    let named = (0..cx.options.topics)
        .map(|topic| (topic, MetadataRequestTopic::default().with_name(Some(kafka_topic(topic)))));
    client.ask(named.collect(), false).await?;
    let replicas = cx.replication() as usize;
    let mut slots = cx.slots();
    slots.retain(|slot| client.leader_of(*slot).is_none_or(|leader| leader.in_sync != replicas));
    let lack = slots.into_iter().map(|slot| format!("{slot:?} {:?} ", client.leader_of(slot)));
    Ok(lack.collect())
}
