//! Many connections, each with one answered request, and then idle.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::joined;
use crate::bench::client::Client;
use crate::bench::measure::{Histogram, Usage, Window};

/// Connections that are set up at the same time.
const THREADS: usize = 8;

/// Open connections; they close when this is dropped.
pub(crate) struct Connected {
    pub(crate) streams: Vec<TcpStream>,
    /// From the first packet to the answer to ApiVersions.
    pub(crate) setup: Histogram,
    pub(crate) usage: Usage,
}

/// Lets this process, and the brokers it starts, have as many files open as the system grants.
pub(crate) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, all); // Too few show as refused connections.
}

/// Opens `count` connections and keeps them. `pid` is the broker's process.
pub(crate) fn run(address: SocketAddr, pid: u32, count: usize) -> io::Result<Connected> {
    let window = Window::begin(pid);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            std::thread::spawn(move || {
                let (mut streams, mut setup) = (Vec::new(), Histogram::new());
                for _ in (thread..count).step_by(THREADS) {
                    let began = Instant::now();
                    let mut client = Client::connect(address)?;
                    client.api_versions()?;
                    setup.add(began.elapsed());
                    streams.push(client.into_stream());
                }
                Ok((streams, setup))
            })
        })
        .collect();
    let (mut streams, mut setup) = (Vec::new(), Histogram::new());
    for thread in threads {
        let (some, took) = joined(thread)?;
        streams.extend(some);
        setup.merge(&took);
    }
    Ok(Connected { streams, setup, usage: window.end() })
}
