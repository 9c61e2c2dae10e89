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

#[test]
fn what_is_vital_goes_on_while_every_other_thread_is_busy() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (main, vital) = (runtime(), runtime());
    let threads = Threads { main: main.handle().clone(), vital: vital.handle().clone() };
    let tasks = Tasks::os_on(threads);
    let (busy, is_busy) = std::sync::mpsc::sync_channel(1);
    let (end, ends) = std::sync::mpsc::sync_channel::<()>(1);
    tasks.spawn("busy", async move {
        busy.send(()).unwrap();
        // Holds its thread up, as a write to a slow disk does.
        let _ = ends.recv();
    });
    is_busy.recv().unwrap();
    let of = tasks.clone();
    let answered = main.handle().block_on(async move {
        let spawned_by_it = of.clone();
        let vital = of.vital();
        let answer = vital.run("asked", async move {
            let (gives, given) = oneshot::channel();
            spawned_by_it.vital().spawn("answers", async move { gives.send(7).unwrap() });
            given.await.unwrap()
        });
        answer.await
    });
    assert_eq!(answered, Some(7));
    drop(end);
    tasks.kill();
    main.handle().block_on(tasks.ended());
    assert_eq!(main.handle().block_on(tasks.vital().run("late", async { 1 })), None, "the node is dead");
}
