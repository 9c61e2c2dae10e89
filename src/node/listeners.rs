//! The sockets of a node: bound before anything else starts, so that a port that is taken is known at once.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::NodeError;
use crate::api::{Broker, ListenerInfo};
use crate::config::{BrokerConfig, Endpoint};
use crate::env::Env;
use crate::server::{ConnectionLimits, ConnectionSettings, ListenerSettings, RequestMemory, Server};

/// Listeners that are bound and take nothing in yet.
pub(super) struct Bound {
    /// Where controllers and brokers reach the controller of this node.
    pub(super) controller: Vec<Server>,
    /// Where clients and brokers reach the broker of this node.
    pub(super) broker: Vec<Server>,
    /// What clients are told of the latter, with the ports that were really bound.
    pub(super) advertised: Vec<Endpoint>,
}

/// Binds every listener.
pub(super) async fn bind(env: &Env, config: &BrokerConfig) -> Result<Bound, NodeError> {
    let mut bound = Bound { controller: Vec::new(), broker: Vec::new(), advertised: Vec::new() };
    for endpoint in &config.listeners {
        let is_controller = config.controller_listener_names.contains(&endpoint.listener);
        let principal = config.listener_principals.get(&endpoint.listener);
        let info = Arc::new(ListenerInfo {
            name: endpoint.listener.as_str().into(),
            security_protocol: endpoint.protocol as i16,
            is_controller,
            principal: principal
                .map_or_else(|| "User:ANONYMOUS".into(), |p| format!("{}:{}", p.kind, p.name).into()),
        });
        let settings = ListenerSettings {
            info,
            host: endpoint.host.clone().unwrap_or_default(),
            port: endpoint.port,
            send_buffer_bytes: config.socket_send_buffer_bytes,
        };
        let failed = |source| NodeError::Listen { endpoint: endpoint.to_string(), source };
        let its = if is_controller { env.vital() } else { env.clone() };
        let bind = {
            let its = its.clone();
            async move { Server::bind(&its, &settings).await }
        };
        let bound_to = its.tasks.run("bind", bind).await.ok_or(NodeError::Stopped)?;
        let server = bound_to.map_err(failed)?;
        if is_controller {
            bound.controller.push(server);
            continue;
        }
        let port = server.local_addr().map_err(failed)?.port();
        bound.broker.push(server);
        let advertised = config.advertised_listeners.iter().find(|a| a.listener == endpoint.listener);
        if let Some(advertised) = advertised {
            let port = if advertised.port == 0 { port } else { advertised.port };
            bound.advertised.push(Endpoint { port, ..advertised.clone() });
        }
    }
    Ok(bound)
}

/// How connections are taken in, for all listeners of the node alike.
pub(super) struct Reception {
    env: Env,
    broker: Arc<Broker>,
    settings: ConnectionSettings,
    pub(super) limits: Arc<ConnectionLimits>,
    accepting: CancellationToken,
}

impl Reception {
    /// With no listener served yet.
    pub(super) fn new(env: &Env, broker: &Arc<Broker>, limits: Arc<ConnectionLimits>) -> Reception {
        let (config, accepting) = (&broker.config, CancellationToken::new());
        let settings = ConnectionSettings {
            request_bytes_max: config.socket_request_max_bytes,
            idle: (config.connections_max_idle_ms >= 0)
                .then(|| Duration::from_millis(config.connections_max_idle_ms as u64)),
            memory: RequestMemory::new(config.queued_max_request_bytes),
            tasks: env.tasks.clone(),
            stopping: accepting.clone(),
        };
        Reception { env: env.clone(), broker: Arc::clone(broker), settings, limits, accepting }
    }

    /// Takes in what comes to `servers` from now on, and what has been waiting.
    pub(super) fn open(&self, servers: Vec<Server>) {
        self.open_in(&self.env, servers);
    }

    /// The same for the listeners of controllers, over which nodes are heard to live.
    pub(super) fn open_vital(&self, servers: Vec<Server>) {
        self.open_in(&self.env.vital(), servers);
    }

    fn open_in(&self, env: &Env, servers: Vec<Server>) {
        for server in servers {
            let (broker, limits) = (Arc::clone(&self.broker), Arc::clone(&self.limits));
            let settings = Arc::new(ConnectionSettings { tasks: env.tasks.clone(), ..self.settings.clone() });
            server.start(env, broker, settings, limits, self.accepting.clone());
        }
    }

    /// Takes in no connection and no request any more.
    pub(super) fn close(&self) {
        self.accepting.cancel();
    }

    /// True if no connection is left.
    pub(super) fn is_empty(&self) -> bool {
        self.limits.connections() == 0
    }
}
