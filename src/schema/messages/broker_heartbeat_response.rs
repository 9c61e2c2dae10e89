//! [`BrokerHeartbeatResponse`].

message! {
    /// How the controller sees the broker. `lease_ms` is ours: for how long after it has sent the heartbeat the broker may
    /// lead; -1 from a controller that does not say.
    BrokerHeartbeatResponse [0-2] flexible [0+] {
        throttle_time_ms: i32, [0+];
        error_code: i16, [0+];
        is_caught_up: bool, [0+];
        is_fenced: bool, [0+], default true;
        should_shut_down: bool, [0+];
        lease_ms: i64, [0+], tag 10000 [0+], default -1;
    }
}

wire_message! { response BrokerHeartbeatResponse }
