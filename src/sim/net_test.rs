use std::future::poll_fn;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(1);

async fn send(conn: &dyn Conn, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        poll_fn(|cx| conn.poll_write_ready(cx)).await.unwrap();
        rest = &rest[conn.try_write(&[IoSlice::new(rest)], false).unwrap()..];
    }
}

/// Reads exactly `count` bytes, or says what came in their place.
async fn read(conn: &dyn Conn, count: usize) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < count {
        poll_fn(|cx| conn.poll_read_ready(cx)).await?;
        let mut buf = vec![0; count - all.len()];
        match conn.try_read(&mut buf) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => all.extend_from_slice(&buf[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

/// Two hosts and a connection from the first to the second.
async fn connected() -> (SimNet, SimNet, Box<dyn Conn>, Box<dyn Conn>, Box<dyn Listener>) {
    let net = SimNet::new(Rng::new(3), 5);
    let (a, b) = (net.host("a"), net.host("b"));
    let listener = b.listen("", 1).await.unwrap();
    let from = a.connect("b", 1).await.unwrap();
    let at = listener.accept().await.unwrap();
    (a, b, from, at, listener)
}

#[tokio::test(start_paused = true)]
async fn hosts_have_ports_of_their_own_and_names() {
    let (a, b, from, at, _listener) = connected().await;
    assert_eq!(at.peer_addr().unwrap(), from.local_addr().unwrap());
    assert_eq!(a.resolve("b").await.unwrap(), [at.local_addr().unwrap().ip()]);
    assert!(a.resolve("c").await.is_err());
    let refused = a.connect("localhost", 1).await.err().map(|e| e.kind());
    assert_eq!(refused, Some(io::ErrorKind::ConnectionRefused));
    assert!(a.listen("", 1).await.is_ok());
    assert!(b.listen("", 1).await.is_err());
    assert!(b.connect(&at.local_addr().unwrap().ip().to_string(), 1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_cut_holds_up_one_direction_and_new_connections_until_it_is_mended() {
    let (a, b, from, at, _listener) = connected().await;
    a.cut(&b);
    send(&*from, b"late").await;
    assert!(timeout(PATIENCE, read(&*at, 4)).await.is_err());
    send(&*at, b"back").await;
    assert_eq!(read(&*from, 4).await.unwrap(), b"back");
    assert!(timeout(PATIENCE, a.connect("b", 1)).await.is_err());
    a.mend(&b);
    assert_eq!(read(&*at, 4).await.unwrap(), b"late");
    assert!(timeout(PATIENCE, a.connect("b", 1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn of_a_host_without_power_nothing_is_heard_until_it_is_back() {
    let (a, b, from, _at, _listener) = connected().await;
    b.vanish();
    assert!(timeout(PATIENCE, read(&*from, 1)).await.is_err());
    assert!(timeout(PATIENCE, a.connect("b", 1)).await.is_err());
    b.appear();
    let lost = timeout(PATIENCE, read(&*from, 1)).await.unwrap().unwrap_err();
    assert_eq!(lost.kind(), io::ErrorKind::ConnectionReset);
    let refused = timeout(PATIENCE, a.connect("b", 1)).await.unwrap().err().map(|e| e.kind());
    assert_eq!(refused, Some(io::ErrorKind::ConnectionRefused));
}

#[tokio::test(start_paused = true)]
async fn the_death_of_one_process_leaves_other_hosts_connected() {
    let (a, b, from, at, _listener) = connected().await;
    let c = SimNet { state: Arc::clone(&a.state), own: 0 }.host("c");
    c.reset();
    send(&*from, b"here").await;
    assert_eq!(read(&*at, 4).await.unwrap(), b"here");
    c.reset_between(&b);
    assert!(a.connect("b", 1).await.is_ok());
    a.reset_between(&b);
    assert!(read(&*at, 1).await.is_err());
    b.reset();
    assert!(a.connect("b", 1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_direction_is_slow() {
    let (a, b, from, at, _listener) = connected().await;
    a.slow_down(&b, Some(100_000));
    let began = Instant::now();
    send(&*from, b"1").await;
    read(&*at, 1).await.unwrap();
    assert!(began.elapsed() > Duration::from_millis(100));
    a.mend_all();
    let began = Instant::now();
    send(&*from, b"1").await;
    read(&*at, 1).await.unwrap();
    assert!(began.elapsed() <= Duration::from_millis(5));
}
