//! Calls to the active controller, wherever it is.
//!
//! Whom the quorum names is asked first, then who answered last, then every place of the configuration in turn; whoever
//! is not the active controller says so, and the next is asked, until the caller's time is over. What may have been
//! carried out is only asked again where the caller says that it does no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_protocol::protocol::Request;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::{Backoff, CallError, Peer, Pool};
use crate::env::Env;
use crate::types::Rng;

/// Where a controller listens: name or address, port.
pub type Place = (Arc<str>, u16);

/// Says where the active controller listens, as far as the quorum knows. Asked before each attempt.
pub type Named = Arc<dyn Fn() -> Option<Place> + Send + Sync>;

/// The first wait after nobody was the active controller; a new one is elected in a second or so.
const ROUND_FIRST: Duration = Duration::from_millis(10);
/// The longest.
const ROUND_MAX: Duration = Duration::from_millis(250);
/// How long one attempt to connect may take before another place is tried.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// See [`Peer::lane`].
    pub lane: &'static str,
    /// True if carrying it out twice does no harm: then it is asked again after an answer got lost.
    pub is_idempotent: bool,
    /// How long one answer may take, where the call may be asked again.
    pub answer_max: Duration,
}

/// The way to the active controller. Clones share it.
#[derive(Clone)]
pub struct ToController {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    named: Named,
    places: Vec<Place>,
    /// Who was the active controller when it was last asked.
    answered: Mutex<Option<Place>>,
    /// How often a lane was asked for. This node's own: nodes that share a process share nothing.
    turns: AtomicUsize,
    rng: Mutex<Rng>,
}

impl ToController {
    /// `places` are those of the configuration: the voters' or the bootstrap servers'.
    pub fn new(env: &Env, pool: Pool, named: Named, places: Vec<Place>) -> ToController {
        let (answered, rng) = (Mutex::default(), Mutex::new(env.seeds.rng()));
        let turns = AtomicUsize::new(0);
        ToController { shared: Arc::new(Shared { pool, named, places, answered, turns, rng }) }
    }

    /// One of `lanes` after another, for calls that need not wait for each other.
    pub fn lane_in_turn<const N: usize>(&self, lanes: &[&'static str; N]) -> &'static str {
        lanes[self.shared.turns.fetch_add(1, Ordering::Relaxed) % N]
    }

    /// Has the active controller answer `request` in `version`. `is_elsewhere` is true for the answer of one who is not the
    /// active controller and has done nothing.
    ///
    /// # Errors
    ///
    /// When `deadline` is over, or at once where nothing can be tried again: [`CallError::Unreachable`] only if the
    /// request was certainly not carried out.
    pub async fn call<R: Request>(
        &self,
        version: i16,
        request: &R,
        terms: Terms,
        is_elsewhere: impl Fn(&R::Response) -> bool,
        deadline: Instant,
    ) -> Result<R::Response, CallError> {
        let shared = &*self.shared;
        let mut backoff = Backoff::new(ROUND_FIRST, ROUND_MAX);
        let mut tried: Vec<Place> = Vec::new();
        let mut setback = CallError::Unreachable("no controller is known".to_owned());
        let mut perhaps_done = None;
        loop {
            let Some(place) = shared.next_place(&tried) else {
                tried.clear();
                let wait = backoff.next(&mut shared.rng.lock());
                if Instant::now() + wait >= deadline {
                    return Err(perhaps_done.unwrap_or(setback));
                }
                sleep(wait).await;
                continue;
            };
            let now = Instant::now();
            if now >= deadline {
                return Err(perhaps_done.unwrap_or(setback));
            }
            tried.push(place.clone());
            let peer = Peer { host: Arc::clone(&place.0), port: place.1, lane: terms.lane };
            let connected_by = deadline.min(now + CONNECT_MAX);
            let answered_by =
                if terms.is_idempotent { deadline.min(now + terms.answer_max) } else { deadline };
            match shared.pool.call_by(&peer, version, request, connected_by, answered_by).await {
                Ok(response) if !is_elsewhere(&response) => {
                    *shared.answered.lock() = Some(place);
                    return Ok(response);
                }
                Ok(_) => {
                    shared.doubt(&place);
                    let (host, port) = place;
                    setback = CallError::Unreachable(format!("{host}:{port} is not the active controller"));
                }
                Err(error @ CallError::Unreachable(_)) => {
                    shared.doubt(&place);
                    setback = error;
                }
                Err(error @ CallError::Encode(_)) => return Err(error),
                Err(error @ (CallError::TimedOut | CallError::Lost(_) | CallError::Malformed(_))) => {
                    shared.doubt(&place);
                    if !terms.is_idempotent {
                        return Err(error);
                    }
                    perhaps_done = Some(error);
                }
            }
        }
    }
}

impl Shared {
    /// Whom to ask next who was not asked in this round.
    fn next_place(&self, tried: &[Place]) -> Option<Place> {
        let fresh = |place: &Place| !tried.contains(place);
        (self.named)()
            .filter(fresh)
            .or_else(|| self.answered.lock().clone().filter(fresh))
            .or_else(|| self.places.iter().find(|place| fresh(place)).cloned())
    }

    /// It is the active controller no more, perhaps.
    fn doubt(&self, place: &Place) {
        let mut answered = self.answered.lock();
        if answered.as_ref() == Some(place) {
            *answered = None;
        }
    }
}

#[cfg(test)]
#[path = "to_controller_test.rs"]
mod tests;
