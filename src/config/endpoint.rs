//! Listeners and the addresses they advertise.
//!
//! A listener has a name, and a map gives every name a security protocol (KIP-103). Names are kept in capitals.

use std::collections::BTreeMap;
use std::fmt;

use super::layers::Layers;
use super::property::{ConfigError, one_line, split_list};
use super::values::Values;

/// How a listener's connections are secured. The numbers are Kafka's, as in the registration of a broker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(i16)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext = 0,
    /// TLS.
    Ssl = 1,
    /// Authenticated by SASL, not encrypted.
    SaslPlaintext = 2,
    /// Authenticated by SASL over TLS.
    SaslSsl = 3,
}

impl SecurityProtocol {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    /// The protocol of that name, in any case.
    pub fn from_name(name: &str) -> Option<SecurityProtocol> {
        use SecurityProtocol::{Plaintext, SaslPlaintext, SaslSsl, Ssl};
        [Plaintext, Ssl, SaslPlaintext, SaslSsl].into_iter().find(|p| p.name().eq_ignore_ascii_case(name))
    }
}

/// Where a listener is, or is said to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Name of the listener, in capitals.
    pub listener: String,
    /// How its connections are secured.
    pub protocol: SecurityProtocol,
    /// Host name or address; `None` for every address of the machine, or its own name where it is advertised.
    pub host: Option<String>,
    /// Port; 0 lets the system choose.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or("");
        match host.contains(':') {
            true => write!(f, "{}://[{host}]:{}", self.listener, self.port),
            false => write!(f, "{}://{host}:{}", self.listener, self.port),
        }
    }
}

/// Splits `host:port`, where the host may stand in brackets and may be empty (`None`).
pub(crate) fn split_host_port(address: &str) -> Option<(Option<String>, &str)> {
    let (host, port) = address.trim().rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => host,
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-%._:".contains(&b);
    if !host.bytes().all(allowed) {
        return None;
    }
    Some(((!host.is_empty()).then(|| host.to_owned()), port))
}

/// A listener before its protocol is known.
struct Parsed {
    listener: String,
    host: Option<String>,
    port: u16,
}

fn parse(key: &str, entry: &str) -> Result<Parsed, ConfigError> {
    let parts = || {
        let (name, address) = entry.split_once("://")?;
        let (host, port) = split_host_port(address)?;
        let listener = name.trim().to_ascii_uppercase();
        (!listener.is_empty()).then_some(())?;
        Some(Parsed { listener, host, port: port.parse().ok()? })
    };
    parts().ok_or_else(|| {
        bad(key, entry, "each entry is NAME://host:port, with a port from 0 to 65535".to_owned())
    })
}

fn bad(key: &str, value: &str, why: String) -> ConfigError {
    ConfigError::Value { key: key.to_owned(), value: one_line(value), why }
}

/// Everything about listeners, put together.
pub(crate) struct Network {
    pub(crate) listeners: Vec<Endpoint>,
    pub(crate) broker_listeners: Vec<Endpoint>,
    pub(crate) controller_listeners: Vec<Endpoint>,
    pub(crate) advertised: Vec<Endpoint>,
    pub(crate) advertised_controllers: Vec<Endpoint>,
    pub(crate) controller_names: Vec<String>,
    pub(crate) inter_broker: String,
    pub(crate) protocols: BTreeMap<String, SecurityProtocol>,
}

impl Network {
    pub(crate) fn new(layers: &Layers, v: &Values) -> Result<Network, ConfigError> {
        let controller_names: Vec<String> =
            v.list("controller.listener.names").iter().map(|name| name.to_ascii_uppercase()).collect();
        let entries = v.list("listeners");
        let mut parsed = Vec::new();
        for entry in &entries {
            parsed.push(parse("listeners", entry)?);
        }
        let protocols = protocol_map(layers, v, &controller_names, &parsed)?;
        let listeners = with_protocols("listeners", parsed, &protocols)?;
        check_distinct(&entries.join(","), &listeners)?;

        let is_controller = |e: &Endpoint| controller_names.contains(&e.listener);
        let mut said = Vec::new();
        for entry in v.opt_list("advertised.listeners").unwrap_or_default() {
            said.push(parse("advertised.listeners", &entry)?);
        }
        let said = with_protocols("advertised.listeners", said, &protocols)?;
        if let Some((at, twice)) =
            said.iter().enumerate().find(|(at, e)| said[..*at].iter().any(|f| f.listener == e.listener))
        {
            debug_assert!(at > 0);
            return Err(bad(
                "advertised.listeners",
                &twice.to_string(),
                "Each listener must have a different name".into(),
            ));
        }

        let (controller_listeners, broker_listeners): (Vec<_>, Vec<_>) =
            listeners.iter().cloned().partition(is_controller);
        let (said_controllers, said_brokers): (Vec<_>, Vec<_>) = said.into_iter().partition(is_controller);
        let advertised = if v.opt_list("advertised.listeners").is_some() {
            said_brokers
        } else {
            broker_listeners.clone()
        };
        // A controller listener that is not advertised is advertised as it listens.
        let mut advertised_controllers = said_controllers;
        for own in &controller_listeners {
            if !advertised_controllers.iter().any(|e| e.listener == own.listener) {
                advertised_controllers.push(own.clone());
            }
        }
        let inter_broker = inter_broker_listener(layers, v, &protocols)?;
        Ok(Network {
            listeners,
            broker_listeners,
            controller_listeners,
            advertised,
            advertised_controllers,
            controller_names,
            inter_broker,
            protocols,
        })
    }
}

/// The protocol of every listener name. Without a map of one's own, controllers' names stand for PLAINTEXT, unless a
/// name in use asks for more.
fn protocol_map(
    layers: &Layers,
    v: &Values,
    controller_names: &[String],
    listeners: &[Parsed],
) -> Result<BTreeMap<String, SecurityProtocol>, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mut map = BTreeMap::new();
    for entry in split_list(&v.text(KEY)) {
        let Some((name, protocol)) = entry.rsplit_once(':') else {
            return Err(bad(KEY, &entry, "each entry is NAME:PROTOCOL".to_owned()));
        };
        let Some(protocol) = SecurityProtocol::from_name(protocol.trim()) else {
            let why =
                "Invalid security protocol; it is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL".to_owned();
            return Err(bad(KEY, &entry, why));
        };
        map.insert(name.trim().to_ascii_uppercase(), protocol);
    }
    let secure = |name: &String| matches!(name.as_str(), "SSL" | "SASL_PLAINTEXT" | "SASL_SSL");
    let any_secure = controller_names.iter().any(secure) || listeners.iter().any(|l| secure(&l.listener));
    if layers.lookup(KEY).is_none() && !any_secure {
        for name in controller_names {
            map.insert(name.clone(), SecurityProtocol::Plaintext);
        }
    }
    if let Some(name) = controller_names.iter().find(|name| !map.contains_key(*name)) {
        let why = format!(
            "Controller listener with name {name} is not in {KEY}; it needs an entry there as soon as the map is set or \
             another protocol than PLAINTEXT is in use"
        );
        return Err(bad("controller.listener.names", name, why));
    }
    Ok(map)
}

fn with_protocols(
    key: &str,
    parsed: Vec<Parsed>,
    protocols: &BTreeMap<String, SecurityProtocol>,
) -> Result<Vec<Endpoint>, ConfigError> {
    let with = |p: Parsed| match protocols.get(&p.listener) {
        Some(&protocol) => Ok(Endpoint { listener: p.listener, protocol, host: p.host, port: p.port }),
        None => {
            let names: Vec<&str> = protocols.keys().map(String::as_str).collect();
            let why = format!(
                "No security protocol defined for listener {}; listener.security.protocol.map has {}",
                p.listener,
                names.join(", ")
            );
            Err(bad(key, &p.listener, why))
        }
    };
    parsed.into_iter().map(with).collect()
}

/// Names differ, and so do ports, except that one IPv4 and one IPv6 address may share a port (KIP-797).
fn check_distinct(value: &str, listeners: &[Endpoint]) -> Result<(), ConfigError> {
    for (at, one) in listeners.iter().enumerate() {
        for other in &listeners[..at] {
            if one.listener == other.listener {
                return Err(bad("listeners", value, "Each listener must have a different name".to_owned()));
            }
            if one.port == other.port && one.port != 0 && !are_v4_and_v6(one, other) {
                return Err(bad("listeners", value, "Each listener must have a different port".to_owned()));
            }
        }
    }
    Ok(())
}

fn are_v4_and_v6(one: &Endpoint, other: &Endpoint) -> bool {
    let address = |e: &Endpoint| e.host.as_deref().and_then(|host| host.parse::<std::net::IpAddr>().ok());
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one.is_ipv4() != other.is_ipv4(),
        _ => false,
    }
}

fn inter_broker_listener(
    layers: &Layers,
    v: &Values,
    protocols: &BTreeMap<String, SecurityProtocol>,
) -> Result<String, ConfigError> {
    let Some(name) = v.opt_text("inter.broker.listener.name") else {
        return Ok(v.text("security.inter.broker.protocol"));
    };
    if layers.lookup("security.inter.broker.protocol").is_some() {
        return Err(ConfigError::Conflict(
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set."
                .to_owned(),
        ));
    }
    let name = name.to_ascii_uppercase();
    if !protocols.contains_key(&name) {
        let why = "not found in listener.security.protocol.map".to_owned();
        return Err(bad("inter.broker.listener.name", &name, why));
    }
    Ok(name)
}
