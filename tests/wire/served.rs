//! What is advertised works: a node answers each API in each version, in the form that this version has.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::Decodable as _;
use ottla::api::On;
use ottla::api::registry::{APIS, Entry};
use ottla::cli::Environment;
use ottla::cli::start::{StartArgs, prepare};
use ottla::env::Env;
use ottla::node::Node;
use ottla::schema::api::ProduceRequest;
use ottla::schema::requests;
use ottla::wire::header::{decode_response, encode_request};
use ottla::wire::versions;

use super::dispatch::Side;
use super::generate::{Shape, generate};
use super::messages::{check, seed};

/// Nothing asked for here takes long.
const PATIENCE: Duration = Duration::from_secs(20);
const CLIENT: &str = "served";
const PRODUCE: i16 = 0;
/// Would remove the node that is asked, if the generated id is its own.
const UNREGISTER_BROKER: i16 = 64;

/// A request and its answer, which is whole and has this request's correlation id. -> the answer's body
fn ask(stream: &mut TcpStream, key: i16, version: i16, body: &[u8]) -> std::io::Result<Bytes> {
    let api = versions::api(key).expect("what is served is an API of Kafka's");
    let correlation_id = i32::from(key) << 8 | i32::from(version);
    let mut request = BytesMut::new();
    encode_request(&mut request, api, version, correlation_id, Some(CLIENT));
    request.extend_from_slice(body);
    stream.write_all(&(request.len() as u32).to_be_bytes())?;
    stream.write_all(&request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    let mut answer = Bytes::from(answer);
    let answered = decode_response(&mut answer, api.response_header_version(version));
    assert_eq!(answered, Ok(correlation_id), "{} v{version}", api.name);
    Ok(answer)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the node takes connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// Whether the request gets no answer by its nature: acks=0.
fn is_silent(key: i16, version: i16, body: &[u8]) -> bool {
    let mut body = Bytes::copy_from_slice(body);
    key == PRODUCE && ProduceRequest::decode(&mut body, version).is_ok_and(|request| request.acks == 0)
}

#[test]
fn every_api_answers_in_every_version() {
    let dir = tempfile::tempdir().expect("a directory");
    let env = Env::os();
    let args = StartArgs { data_dir: Some(dir.path().to_owned()), port: Some(0), ..StartArgs::default() };
    let setup = prepare(&env, &args, &Environment::new()).expect("a node without configuration");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads");
    let node = runtime.block_on(Node::start(&env, &setup)).expect("the node starts");
    let port = node.endpoints()[0].port;
    let mut wrong = Vec::new();
    let mut stream = connect(port);
    // Clients do not reach the listeners of controllers.
    let here = |entry: &&Entry| entry.key != UNREGISTER_BROKER && entry.on != On::Controller;
    for entry in APIS.iter().filter(here) {
        let layout = requests::layout(entry.key).expect("what is served has a layout");
        for version in entry.versions.clone() {
            for (shape, n) in [(Shape::Bare, 0), (Shape::Full, 1), (Shape::Mixed, 2), (Shape::Unknown, 3)] {
                let body = generate(layout, version, shape, seed(entry.key, Side::Request, version, n)).bytes;
                if is_silent(entry.key, version, &body) {
                    continue;
                }
                let what = format!("API {} v{version} {shape:?}", entry.key);
                match ask(&mut stream, entry.key, version, &body) {
                    Ok(answer) => {
                        if let Err(e) = check(entry.key, Side::Response, version, &answer) {
                            wrong.push(format!("{what}: {e}: {answer:02x?}"));
                        }
                    }
                    Err(e) => {
                        wrong.push(format!("{what}: no answer: {e}"));
                        stream = connect(port);
                    }
                }
            }
        }
    }
    drop(stream);
    runtime.block_on(node.stop()).expect("the node stops in order");
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}
