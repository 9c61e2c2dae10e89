//! One file per Kafka API; the folder is its table of contents.
//!
//! A handler authorises, validates, calls one subsystem and shapes the answer, in this order. What goes wrong with one
//! partition, topic or group is part of the answer; only a request that cannot be understood ends the connection. The
//! list of what is served is [`registry`]; the meaning of an internal error on the wire is [`errors`].

pub mod access;
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
pub mod share;
mod signs_of_life;
#[cfg(test)]
mod test_image;
#[cfg(test)]
mod test_wire;
pub mod topics;
pub mod transactions;

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

pub use producer_ids::ProducerIdStock;
pub use rate_limit::RateLimit;
pub use request::{Broker, ConnectionInfo, ListenerInfo, RequestContext};
pub use response::{Part, Response};
pub use signs_of_life::{SignOfLife, connection_ended};

/// Where an API is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// On listeners of the broker.
    Broker,
    /// On listeners of the broker and of the controller.
    Both,
    /// On listeners of the controller.
    Controller,
    /// On the listener that brokers use among themselves, `inter.broker.listener.name`.
    InterBroker,
}

/// An API: how one kind of request is handled that is answered by one message.
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
    /// True if an answer may be a long time coming for reasons that have nothing to do with its client. Such a request
    /// is given up once the client is gone.
    const PARKS: bool = false;

    /// False on a broker whose configuration asks more of the API than is there yet: it is not advertised then.
    fn is_served_by(_broker: &Broker) -> bool {
        true
    }

    /// True if the client had better ask another broker next time: its connection is closed after the answer.
    fn sends_away(_cx: &RequestContext) -> bool {
        false
    }

    /// Handles a request. The answer is complete: errors are inside.
    fn handle(cx: &RequestContext, request: Self::Request) -> impl Future<Output = Self::Response> + Send;
}

/// An API as the registry has it. Every [`Api`] is one; those that answer in other ways than by one encoded message, or
/// that must do something before the next request of the connection begins, are one by themselves.
pub trait Served: 'static {
    /// See [`Api::KEY`].
    const KEY: i16;
    /// See [`Api::VERSIONS`].
    const VERSIONS: RangeInclusive<i16>;
    /// See [`Api::ON`].
    const ON: On;

    /// See [`Api::is_served_by`].
    fn is_served_by(_broker: &Broker) -> bool {
        true
    }

    /// Begins a request whose body is `body`, already guarded.
    fn begin(cx: RequestContext, body: Bytes) -> Answer;
}

impl<A: Api> Served for A {
    const KEY: i16 = <A as Api>::KEY;
    const VERSIONS: RangeInclusive<i16> = <A as Api>::VERSIONS;
    const ON: On = <A as Api>::ON;

    fn is_served_by(broker: &Broker) -> bool {
        <A as Api>::is_served_by(broker)
    }

    fn begin(cx: RequestContext, mut body: Bytes) -> Answer {
        let request = match A::Request::decode(&mut body, cx.version) {
            Ok(request) => request,
            Err(e) => return Answer::Close(format!("the request cannot be read: {e:#}")),
        };
        let answer = Box::pin(async move {
            let response = A::handle(&cx, request).await;
            let response = Response::encode(&cx, &response)?;
            Some(if A::sends_away(&cx) { response.and_close() } else { response })
        });
        let wait = if A::PARKS { Wait::Parked } else { Wait::Alone };
        Answer::Later { answer, wait }
    }
}

/// What else may happen on a connection while a request of it waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Nothing: the next request begins when this one is answered.
    Alone,
    /// The next produce may begin.
    Overlaps,
    /// Nothing, and the client may go away before the answer comes: then the request is dropped.
    Parked,
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
        /// What may happen meanwhile.
        wait: Wait,
    },
    /// The client wants no answer: a produce with acks=0.
    Nothing,
    /// It cannot be answered: the connection ends. Says why, for the log.
    Close(String),
}
