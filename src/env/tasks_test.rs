use std::sync::atomic::AtomicBool;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_paused_node_does_nothing_and_can_be_killed() {
    let tasks = Tasks::simulated_late(Rng::new(1), 0);
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ticks);
    tasks.spawn("clock", async move {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let wait = || tokio::time::sleep(Duration::from_millis(105));
    wait().await;
    assert_eq!(ticks.load(Ordering::Relaxed), 10);
    tasks.pause();
    let called = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&called);
    let call = tasks.run_blocking(move || flag.store(true, Ordering::Relaxed));
    assert!(tokio::time::timeout(Duration::from_millis(500), call).await.is_err());
    assert!(!called.load(Ordering::Relaxed));
    assert_eq!(ticks.load(Ordering::Relaxed), 10);
    tasks.resume();
    wait().await;
    assert!(ticks.load(Ordering::Relaxed) > 15);
    tasks.pause();
    tasks.kill();
    tasks.ended().await;
}
