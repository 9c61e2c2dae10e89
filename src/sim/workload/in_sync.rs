//! Somebody who waits until every replica is in sync, in the eyes of every node.

use std::io;

use super::{BACKOFF, Context, kafka_topic};
use crate::schema::api::metadata_request::MetadataRequestTopic;
use crate::sim::route::Routed;

/// Waits for it.
pub async fn wait(cx: &Context) {
    for place in cx.places.iter() {
        loop {
            let client = Routed::connect(&cx.net, place.clone(), cx.patience()).await;
            if let Ok(mut client) = client
                && are_in_sync(cx, &mut client).await.is_ok_and(|all| all)
            {
                break;
            }
            tokio::time::sleep(BACKOFF).await;
        }
    }
}

async fn are_in_sync(cx: &Context, client: &mut Routed) -> io::Result<bool> {
    let named = (0..cx.options.topics)
        .map(|topic| (topic, MetadataRequestTopic::default().with_name(Some(kafka_topic(topic)))));
    client.ask(named.collect(), false).await?;
    let replicas = cx.replication() as usize;
    Ok(cx.slots().into_iter().all(|slot| client.leader_of(slot).is_some_and(|l| l.in_sync == replicas)))
}
