//! A plain client: one request, one answer, by the schema's own types. For everything that is not on the
//! clock.
//!
//! Versions are the last ones before flexible encodings, which Apache Kafka 4 still serves: the loads read
//! their answers by hand, and these are the simplest to read.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Request, StrBytes};
use ottla::schema::api;
use ottla::wire::header::encode_request;
use ottla::wire::versions;

pub(crate) const PRODUCE_VERSION: i16 = 8;
pub(crate) const FETCH_VERSION: i16 = 11;
const LIST_OFFSETS_VERSION: i16 = 2;
const METADATA_VERSION: i16 = 5;
const CREATE_TOPICS_VERSION: i16 = 4;
const API_VERSIONS_VERSION: i16 = 0;

const CLIENT_ID: &str = "bench";
/// The largest answer that is read whole.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// How long a broker may take until topics are ready.
const READY_WAIT: Duration = Duration::from_secs(600);
/// Errors that pass while a cluster or a topic forms: unavailable leaders and controllers, moved partitions.
const PASSING: [i16; 8] = [3, 5, 6, 7, 14, 15, 38, 41];
const TOPIC_ALREADY_EXISTS: i16 = 36;

fn bad(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A request as it goes over the wire, its length in front.
pub(crate) fn frame<Q: Request>(request: &Q, version: i16, correlation: i32) -> io::Result<Vec<u8>> {
    let api = versions::api(Q::KEY).ok_or_else(|| bad("an API that Kafka does not have"))?;
    let mut out = bytes::BytesMut::from(&[0u8; 4][..]);
    encode_request(&mut out, api, version, correlation, Some(CLIENT_ID));
    request.encode(&mut out, version).map_err(|e| bad(e.to_string()))?;
    let length = (out.len() - 4) as i32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    Ok(out.to_vec())
}

/// A topic whose every partition has a leader.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) partitions: i32,
}

/// A connection with one request at a time.
pub(crate) struct Client {
    stream: TcpStream,
    correlation: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        Ok(Client { stream, correlation: 0 })
    }

    /// The socket, for what reads and writes by itself.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends a frame whose correlation id is `correlation`, and gives its answer's body.
    pub(crate) fn exchange(&mut self, frame: &[u8], correlation: i32) -> io::Result<Bytes> {
        self.stream.write_all(frame)?;
        let mut front = [0u8; 8];
        self.stream.read_exact(&mut front)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = front;
        let length = usize::try_from(i32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(0);
        let answered = i32::from_be_bytes([c0, c1, c2, c3]);
        if !(4..=ANSWER_BYTES_MAX).contains(&length) {
            return Err(bad(format!("an answer of {length} bytes")));
        }
        if answered != correlation {
            return Err(bad(format!("the answer to {answered}, asked was {correlation}")));
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body)?;
        Ok(body.into())
    }

    fn call<Q: Request>(&mut self, version: i16, request: &Q) -> io::Result<Q::Response> {
        self.correlation += 1;
        let mut body = self.exchange(&frame(request, version, self.correlation)?, self.correlation)?;
        Q::Response::decode(&mut body, version).map_err(|e| bad(e.to_string()))
    }

    pub(crate) fn api_versions(&mut self) -> io::Result<()> {
        let answer = self.call(API_VERSIONS_VERSION, &api::ApiVersionsRequest::default())?;
        if answer.error_code != 0 {
            return Err(bad(format!("ApiVersions: error {}", answer.error_code)));
        }
        Ok(())
    }

    /// Asks once for the topics to be made; an error code of any of them is given back.
    fn try_create(&mut self, topics: &[Topic], configs: &[(&str, &str)]) -> io::Result<i16> {
        let mut request = api::CreateTopicsRequest::default();
        request.timeout_ms = 60_000;
        for topic in topics {
            let mut one = api::create_topics_request::CreatableTopic::default();
            one.name = text(&topic.name).into();
            one.num_partitions = topic.partitions;
            one.replication_factor = 1;
            for (name, value) in configs {
                let mut config = api::create_topics_request::CreatableTopicConfig::default();
                config.name = text(name);
                config.value = Some(text(value));
                one.configs.push(config);
            }
            request.topics.push(one);
        }
        let answer = self.call(CREATE_TOPICS_VERSION, &request)?;
        Ok(answer
            .topics
            .iter()
            .map(|topic| topic.error_code)
            .find(|code| ![0, TOPIC_ALREADY_EXISTS].contains(code))
            .unwrap_or(0))
    }

    /// Whether all partitions of the topics have leaders.
    fn have_leaders(&mut self, topics: &[Topic]) -> io::Result<bool> {
        let mut request = api::MetadataRequest::default();
        let mut names = Vec::new();
        for topic in topics {
            let mut one = api::metadata_request::MetadataRequestTopic::default();
            one.name = Some(text(&topic.name).into());
            names.push(one);
        }
        request.topics = Some(names);
        request.allow_auto_topic_creation = false;
        let answer = self.call(METADATA_VERSION, &request)?;
        let mut led = 0;
        for topic in &answer.topics {
            let ready = |p: &&api::metadata_response::MetadataResponsePartition| {
                p.error_code == 0 && p.leader_id.0 >= 0
            };
            led += topic.partitions.iter().filter(ready).count() as i32;
        }
        Ok(led == topics.iter().map(|topic| topic.partitions).sum::<i32>())
    }

    /// Offsets of all partitions, topic after topic; `timestamp` is -1 for the end and -2 for the start.
    pub(crate) fn offsets(&mut self, topics: &[Topic], timestamp: i64) -> io::Result<Vec<i64>> {
        let mut request = api::ListOffsetsRequest::default();
        request.replica_id = (-1).into();
        for topic in topics {
            let mut asked = api::list_offsets_request::ListOffsetsTopic::default();
            asked.name = text(&topic.name).into();
            for index in 0..topic.partitions {
                let mut partition = api::list_offsets_request::ListOffsetsPartition::default();
                partition.partition_index = index;
                partition.timestamp = timestamp;
                asked.partitions.push(partition);
            }
            request.topics.push(asked);
        }
        let answer = self.call(LIST_OFFSETS_VERSION, &request)?;
        let mut found = std::collections::BTreeMap::new();
        for topic in &answer.topics {
            for partition in &topic.partitions {
                if partition.error_code != 0 {
                    let at = format!("{}-{}", topic.name.0, partition.partition_index);
                    return Err(bad(format!("ListOffsets of {at}: error {}", partition.error_code)));
                }
                found.insert((topic.name.0.to_string(), partition.partition_index), partition.offset);
            }
        }
        let mut out = Vec::new();
        for topic in topics {
            for index in 0..topic.partitions {
                let offset = found.get(&(topic.name.clone(), index));
                out.push(*offset.ok_or_else(|| bad(format!("no offset of {}-{index}", topic.name)))?);
            }
        }
        Ok(out)
    }
}

/// Asks again, with a new connection, until it works or `wait` is over.
pub(crate) fn until<T>(
    wait: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let deadline = Instant::now() + wait;
    loop {
        match ask() {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(pause),
        }
    }
}

/// Makes topics, `at_once` in a request, and waits until each of their partitions answers for itself.
pub(crate) fn create(
    address: SocketAddr,
    topics: &[Topic],
    configs: &[(&str, &str)],
    at_once: usize,
) -> io::Result<()> {
    let mut client = Client::connect(address)?;
    for some in topics.chunks(at_once.max(1)) {
        let code = until(Duration::from_secs(60), Duration::from_millis(20), || {
            match client.try_create(some, configs)? {
                code if PASSING.contains(&code) => Err(bad(format!("CreateTopics: error {code}"))),
                code => Ok(code),
            }
        })?;
        if code != 0 {
            return Err(bad(format!("CreateTopics: error {code}")));
        }
    }
    wait_for(address, topics)
}

/// Waits until every partition has a leader that answers: metadata names a leader before it knows that it
/// leads.
pub(crate) fn wait_for(address: SocketAddr, topics: &[Topic]) -> io::Result<()> {
    until(READY_WAIT, Duration::from_millis(2), || {
        let mut client = Client::connect(address)?;
        if !client.have_leaders(topics)? {
            return Err(bad("partitions without a leader"));
        }
        client.offsets(topics, -1).map(|_| ())
    })
}

/// Start or end offsets of one topic's partitions, in order.
pub(crate) fn offsets_of(address: SocketAddr, topic: &Topic, timestamp: i64) -> io::Result<Vec<i64>> {
    until(Duration::from_secs(30), Duration::from_millis(20), || {
        Client::connect(address)?.offsets(std::slice::from_ref(topic), timestamp)
    })
}
