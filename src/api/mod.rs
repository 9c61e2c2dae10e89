//! One file per Kafka API; the folder is its table of contents.
//!
//! A handler authorises, validates, calls one subsystem and shapes the answer, in this order. What goes wrong with one
//! partition, topic or group is part of the answer; only a request that cannot be understood ends the connection. The
//! list of what is served is [`registry`]; the meaning of an internal error on the wire is [`errors`].

mod authorized;
pub mod auto_create;
pub mod cluster;
pub mod configs;
mod controller_gate;
pub mod data;
mod errors;
pub mod groups;
pub mod internal_topics;
mod producer_ids;
mod rate_limit;
pub mod registry;
mod request;
mod response;
#[cfg(test)]
mod test_image;
pub mod topics;

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

pub use producer_ids::ProducerIdStock;
pub use rate_limit::RateLimit;
pub use request::{Broker, ConnectionInfo, ListenerInfo, RequestContext};
pub use response::{Part, Response};

/// Where an API is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// On listeners of the broker.
    Broker,
    /// On listeners of the broker and of the controller.
    Both,
}

/// An API: how one kind of request is handled.
pub trait Api: 'static {
    /// What comes in.
    type Request: Decodable + Send + 'static;
    /// What goes out.
    type Response: Encodable + HeaderVersion + Send + 'static;
    /// Kafka's number of it.
    const KEY: i16;
    /// The versions that are served, all of them in full. What we do, not what some decoder can read.
    const VERSIONS: RangeInclusive<i16>;
    /// Where it is served.
    const ON: On;

    /// Handles a request. The answer is complete: errors are inside.
    fn handle(cx: &RequestContext, request: Self::Request) -> impl Future<Output = Self::Response> + Send;

    /// Begins a request whose body is `body`, already guarded. Handlers that answer in other ways than by one encoded
    /// message, or that must do something before the next request of the connection begins, replace this.
    fn begin(cx: RequestContext, mut body: Bytes) -> Answer {
        let request = match Self::Request::decode(&mut body, cx.version) {
            Ok(request) => request,
            Err(e) => return Answer::Close(format!("the request cannot be read: {e:#}")),
        };
        let answer = Box::pin(async move {
            let response = Self::handle(&cx, request).await;
            Response::encode(&cx, &response)
        });
        Answer::Later { answer, overlaps: false }
    }
}

/// An answer that is on its way. `None` if the broker failed to make one: the connection ends, as it must, since later
/// answers cannot overtake it.
pub type FutureResponse = Pin<Box<dyn Future<Output = Option<Response>> + Send>>;

/// What becomes of a request once it is begun.
pub enum Answer {
    /// It is answered.
    Ready(Response),
    /// It will be.
    Later {
        /// Gives the answer.
        answer: FutureResponse,
        /// The next produce of the connection may begin before this is answered.
        overlaps: bool,
    },
    /// The client wants no answer: a produce with acks=0.
    Nothing,
    /// It cannot be answered: the connection ends. Says why, for the log.
    Close(String),
}
