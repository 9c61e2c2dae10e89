use std::time::Duration;

use super::*;
use crate::client::{Peer, Pool};
use crate::env::{Env, Listener, Seeds};
use crate::schema::messages::raft::{RaftVoteRequest, RaftVoteResponse};
use crate::sim::clock::SimClock;
use crate::sim::disk::SimDisk;
use crate::sim::net::SimNet;
use crate::types::Rng;
use crate::wire::header::{RequestHeader, encode_response};

pub(crate) fn env() -> Env {
    Env {
        clock: Arc::new(SimClock::new()),
        disk: Arc::new(SimDisk::new()),
        net: Arc::new(SimNet::new(Rng::new(7), 3)),
        seeds: Seeds::from_seed(11),
        tasks: Tasks::simulated(),
    }
}

fn peer(port: u16) -> Peer {
    Peer { host: "node".into(), port, lane: "test" }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

/// Reads the next request of a connection; `None` once it is closed.
pub(crate) async fn next_request(conn: &dyn Conn, inbox: &mut BytesMut) -> Option<(RequestHeader, Bytes)> {
    loop {
        if let Some(mut frame) = frame::take(inbox, 1 << 20).unwrap() {
            let header = RequestHeader::decode(&mut frame).unwrap();
            return Some((header, frame));
        }
        std::future::poll_fn(|cx| conn.poll_read_ready(cx)).await.unwrap();
        let mut buf = [0; 512];
        match conn.try_read(&mut buf) {
            Ok(0) => return None,
            Ok(read) => inbox.extend_from_slice(&buf[..read]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

pub(crate) async fn send(conn: &dyn Conn, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        std::future::poll_fn(|cx| conn.poll_write_ready(cx)).await.unwrap();
        let Ok(written) = conn.try_write(&[IoSlice::new(bytes)], false) else { return };
        bytes = &bytes[written..];
    }
}

pub(crate) fn answer(id: i32, response: &RaftVoteResponse) -> Bytes {
    let mut buf = BytesMut::new();
    let begun = frame::begin(&mut buf);
    encode_response(&mut buf, 1, id);
    response.encode(&mut buf, 0).unwrap();
    frame::finish(&mut buf, begun, 0).unwrap();
    buf.freeze()
}

/// What the other side does with the requests that it has.
type Script = fn(&mut Vec<(i32, RaftVoteRequest)>) -> Vec<Bytes>;

/// Serves one connection after the other by the script.
async fn serve(listener: Box<dyn Listener>, script: Script) {
    loop {
        let conn = listener.accept().await.unwrap();
        let (mut inbox, mut requests) = (BytesMut::new(), Vec::new());
        while let Some((header, mut body)) = next_request(&*conn, &mut inbox).await {
            requests.push((header.correlation_id, RaftVoteRequest::decode(&mut body, 0).unwrap()));
            for bytes in script(&mut requests) {
                send(&*conn, &bytes).await;
            }
        }
    }
}

async fn served(script: Script) -> (Env, Pool) {
    let env = env();
    let listener = env.net.listen("node", 1).await.unwrap();
    env.tasks.spawn("server", serve(listener, script));
    let pool = Pool::new(&env, ConnectionSettings::default());
    (env, pool)
}

pub(crate) fn request(term: i64) -> RaftVoteRequest {
    let mut request = RaftVoteRequest::default();
    request.vote.term = term;
    request
}

/// Echoes the term.
fn echo(id: i32, request: &RaftVoteRequest) -> Bytes {
    let mut response = RaftVoteResponse::default();
    response.vote.term = request.vote.term;
    answer(id, &response)
}

#[tokio::test(start_paused = true)]
async fn calls_overlap_and_each_gets_its_answer() {
    // Nothing is answered before three requests are there.
    let (_env, pool) = served(|requests| {
        let answers = if requests.len() < 3 { Vec::new() } else { std::mem::take(requests) };
        answers.iter().map(|(id, request)| echo(*id, request)).collect()
    })
    .await;
    let call = async |term| pool.call(&peer(1), 0, &request(term), soon()).await.unwrap().vote.term;
    assert_eq!(tokio::join!(call(5), call(6), call(7)), (5, 6, 7));
    assert_eq!(tokio::join!(call(8), call(9), call(10)), (8, 9, 10));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_in_time_and_the_next_has_a_new_connection() {
    let (_env, pool) = served(|requests| match requests.last() {
        Some((id, request)) if request.vote.term > 1 => vec![echo(*id, request)],
        _ => Vec::new(),
    })
    .await;
    let began = Instant::now();
    assert_eq!(pool.call(&peer(1), 0, &request(1), soon()).await, Err(CallError::TimedOut));
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert_eq!(pool.call(&peer(1), 0, &request(2), soon()).await.unwrap().vote.term, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_odd_closes_the_connection() {
    let scripts: &[(Script, fn(&CallError) -> bool)] = &[
        // Another's answer.
        (
            |r| vec![echo(r[0].0 + 1, &r[0].1)],
            |e| matches!(e, CallError::Lost(why) if why.contains("another")),
        ),
        // A frame larger than any.
        (|_| vec![Bytes::from_static(&[0x7f, 0, 0, 0])], |e| matches!(e, CallError::Lost(_))),
        // A negative length.
        (|_| vec![Bytes::from_static(&[0xff, 0, 0, 0])], |e| matches!(e, CallError::Lost(_))),
        // No answer but some bytes.
        (
            |r| {
                let mut bytes = echo(r[0].0, &r[0].1).to_vec();
                bytes.truncate(20);
                bytes[..4].copy_from_slice(&16i32.to_be_bytes());
                vec![bytes.into()]
            },
            |e| matches!(e, CallError::Malformed(_)),
        ),
        // Bytes after the answer.
        (
            |r| {
                let mut bytes = echo(r[0].0, &r[0].1).to_vec();
                bytes.extend([0; 3]);
                let length = bytes.len() as i32 - 4;
                bytes[..4].copy_from_slice(&length.to_be_bytes());
                vec![bytes.into()]
            },
            |e| matches!(e, CallError::Malformed(_)),
        ),
    ];
    for (at, (script, expected)) in scripts.iter().enumerate() {
        let (env, pool) = served(*script).await;
        let conn = env.net.connect("node", 1).await.unwrap();
        let connection = Connection::new(conn, &env.tasks, ConnectionSettings::default());
        let error = connection.call(0, &request(1), soon()).await.unwrap_err();
        assert!(expected(&error), "script {at}: {error:?}");
        assert!(connection.is_closed());
        drop(pool);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_there_is_not_asked_all_the_time() {
    let env = env();
    let pool = Pool::new(&env, ConnectionSettings::default());
    let mut attempts = 0;
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let deadline = Instant::now() + Duration::from_secs(2);
        let error = pool.call(&peer(9), 0, &request(1), deadline).await.unwrap_err();
        assert!(matches!(error, CallError::Unreachable(_)), "{error:?}");
        attempts += 1;
    }
    assert!((10..25).contains(&attempts), "{attempts} attempts in ten seconds");
    // Once it is there, the longest wait is all that it takes.
    let listener = env.net.listen("node", 9).await.unwrap();
    env.tasks.spawn("server", serve(listener, |r| r.drain(..).map(|(id, r)| echo(id, &r)).collect()));
    let deadline = Instant::now() + Duration::from_secs(3);
    assert_eq!(pool.call(&peer(9), 0, &request(3), deadline).await.unwrap().vote.term, 3);
}
