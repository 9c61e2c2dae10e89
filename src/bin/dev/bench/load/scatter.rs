//! Single records to partitions chosen by chance, at a fixed rate: what a broker with many partitions mostly
//! sees.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ottla::types::Rng;

use super::{fire_on_time, joined, sleep_until, wrong};
use crate::bench::client::{Client, Topic};
use crate::bench::frames::{Acknowledged, Shape, batch, produce};
use crate::bench::measure::Histogram;

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

/// Runs the load. -> from the schedule to each acknowledgement
pub(crate) fn run(address: SocketAddr, topics: &[Topic], plan: &Plan) -> io::Result<Histogram> {
    fire_on_time();
    let began = Instant::now() + Duration::from_millis(50);
    let each = (plan.time.as_secs_f64() * plan.rate / plan.connections as f64) as u64;
    let mut threads = Vec::new();
    for connection in 0..plan.connections {
        let (mut client, topics, plan) = (Client::connect(address)?, topics.to_vec(), *plan);
        threads.push(std::thread::spawn(move || {
            let (mut rng, mut seen) = (Rng::new(connection as u64), Histogram::new());
            let (one, _) = batch(&Shape { batch_bytes: 0, value_bytes: 100, variants: 1 }, connection as u64);
            for request in 0..each {
                let place = request * plan.connections as u64 + connection as u64;
                let due = began + Duration::from_secs_f64(place as f64 / plan.rate);
                sleep_until(due);
                let topic = &topics[rng.below(topics.len() as u64) as usize];
                let partition = rng.below(topic.partitions as u64) as i32;
                let frame = produce(&topic.name, partition, request as i32, one.clone())?;
                let body = client.exchange(&frame, request as i32)?;
                match Acknowledged::read(&body, &topic.name) {
                    Some(Acknowledged { error: 0, .. }) => seen.add(due.elapsed()),
                    Some(answer) => return Err(wrong(format!("Produce: error {}", answer.error))),
                    None => return Err(wrong("an answer to something else")),
                }
            }
            Ok(seen)
        }));
    }
    let mut all = Histogram::new();
    for thread in threads {
        all.merge(&joined(thread)?);
    }
    Ok(all)
}
