//! [`DefaultPrincipalData`]: who a client is, as a broker tells it to the controller inside an Envelope (KIP-590).

message! {
    /// A principal. Two bytes with the version stand before it.
    DefaultPrincipalData [0] flexible [0+] {
        principal_type: String, [0+];
        name: String, [0+];
        token_authenticated: bool, [0+];
    }
}
