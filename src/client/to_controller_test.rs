use bytes::BytesMut;

use super::*;
use crate::client::ConnectionSettings;
use crate::client::conn::tests::{answer, env, next_request, request, send};
use crate::schema::messages::raft::RaftVoteResponse;

/// What nobody but the active controller answers otherwise.
const NOT_CONTROLLER: i16 = 41;

/// What a node answers to its nth request; `None` for nothing, by closing the connection.
type Script = fn(usize) -> Option<i16>;

const ACTIVE: Script = |_| Some(0);
const ELSEWHERE: Script = |_| Some(NOT_CONTROLLER);

/// Starts a node and counts what it is asked.
async fn node(env: &Env, port: u16, script: Script) -> Arc<Mutex<usize>> {
    let listener = env.net.listen("node", port).await.unwrap();
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    env.tasks.spawn("node", async move {
        loop {
            let conn = listener.accept().await.unwrap();
            let mut inbox = BytesMut::new();
            while let Some((header, _)) = next_request(&*conn, &mut inbox).await {
                let nth = {
                    let mut count = count.lock();
                    *count += 1;
                    *count
                };
                let Some(error_code) = script(nth) else { break };
                let response = RaftVoteResponse { error_code, ..RaftVoteResponse::default() };
                send(&*conn, &answer(header.correlation_id, &response)).await;
            }
        }
    });
    asked
}

fn place(port: u16) -> Place {
    ("node".into(), port)
}

fn to(env: &Env, named: Option<u16>, places: &[u16]) -> (ToController, Arc<Mutex<Option<u16>>>) {
    let named = Arc::new(Mutex::new(named));
    let asked = Arc::clone(&named);
    let named_now: Named = Arc::new(move || asked.lock().map(place));
    let pool = Pool::new(env, ConnectionSettings::default());
    (ToController::new(env, pool, named_now, places.iter().copied().map(place).collect()), named)
}

fn terms(is_idempotent: bool) -> Terms {
    Terms { lane: "test", is_idempotent, answer_max: Duration::from_secs(1) }
}

async fn call(to: &ToController, is_idempotent: bool, within: Duration) -> Result<(), CallError> {
    let is_elsewhere = |response: &RaftVoteResponse| response.error_code == NOT_CONTROLLER;
    let deadline = Instant::now() + within;
    to.call(0, &request(1), terms(is_idempotent), is_elsewhere, deadline).await.map(|_| ())
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn whom_the_quorum_names_is_asked_first_and_who_answered_after_that() {
    let env = env();
    let first = node(&env, 1, ELSEWHERE).await;
    let second = node(&env, 2, ACTIVE).await;
    let (to, named) = to(&env, Some(2), &[1, 2]);
    call(&to, false, LONG).await.unwrap();
    assert_eq!((*first.lock(), *second.lock()), (0, 1));
    // Nobody is named any more.
    *named.lock() = None;
    call(&to, false, LONG).await.unwrap();
    assert_eq!((*first.lock(), *second.lock()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn the_places_of_the_configuration_are_asked_in_turn() {
    let env = env();
    // 1 is not there at all, and 2 is not the active controller.
    let second = node(&env, 2, ELSEWHERE).await;
    let third = node(&env, 3, ACTIVE).await;
    let (to, _named) = to(&env, Some(2), &[1, 2, 3]);
    call(&to, false, LONG).await.unwrap();
    assert_eq!((*second.lock(), *third.lock()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_until_somebody_is_elected() {
    let env = env();
    let asked = node(&env, 1, |nth| Some(if nth < 5 { NOT_CONTROLLER } else { 0 })).await;
    let (to, _named) = to(&env, None, &[1]);
    call(&to, false, LONG).await.unwrap();
    assert_eq!(*asked.lock(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_is_named_meanwhile_is_asked_next() {
    let env = env();
    node(&env, 1, ELSEWHERE).await;
    let (to, named) = to(&env, Some(1), &[1]);
    node(&env, 7, ACTIVE).await;
    let calling = call(&to, false, LONG);
    let naming = async {
        sleep(Duration::from_secs(2)).await;
        *named.lock() = Some(7);
    };
    let began = Instant::now();
    let (called, ()) = tokio::join!(calling, naming);
    called.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept() {
    let env = env();
    node(&env, 1, ELSEWHERE).await;
    let (nobody, _) = to(&env, None, &[]);
    let (elsewhere, _) = to(&env, None, &[1, 9]);
    for to in [nobody, elsewhere] {
        let began = Instant::now();
        let outcome = call(&to, false, Duration::from_secs(3)).await;
        assert!(matches!(outcome, Err(CallError::Unreachable(_))), "{outcome:?}");
        let took = began.elapsed();
        assert!((Duration::from_secs(2)..=Duration::from_secs(3)).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_is_asked_again_only_where_it_does_no_harm() {
    let env = env();
    let asked = node(&env, 1, |nth| if nth < 3 { None } else { Some(0) }).await;
    let (to, _named) = to(&env, Some(1), &[]);
    let outcome = call(&to, false, LONG).await;
    assert!(matches!(outcome, Err(CallError::Lost(_))), "{outcome:?}");
    assert_eq!(*asked.lock(), 1);
    call(&to, true, LONG).await.unwrap();
    assert_eq!(*asked.lock(), 3);
}
