//! TLS, SASL, authorization, delegation tokens.

use crate::config::property::properties;

pub(super) const AUTHORIZATION: &str = "nothing is authorized yet: every client may do everything";
const SASL: &str = "SASL is not there yet";
const TOKENS: &str = "delegation tokens are not there yet";
const KERBEROS: &str = "Kerberos is not supported";
const OAUTH: &str = "OAUTHBEARER is not there yet";
const TLS: &str = "TLS is not there yet";
const JAVA_TLS: &str = "there is no Java here to take it";
const JAVA: &str = "Java classes cannot be loaded";

properties! {
    /// TLS, SASL, authorization, delegation tokens.
    pub(super) SECURITY;

    /// Class that decides who may do what; empty allows everything.
    "authorizer.class.name", String, Is(""), Any, Low, ReadOnly, ignored: AUTHORIZATION;
    /// Principal of every connection to a listener that does not authenticate, as `LISTENER:User:name`
    /// separated by commas; meant for conformance tests.
    "conformance.listener.principals", List, Is(""), Any, Low, ReadOnly;
    /// How long a SASL session may last before the client must authenticate again; 0 for ever.
    "connections.max.reauth.ms", Long, Is("0"), Any, Medium, ReadOnly, ignored: SASL;
    /// How often expired delegation tokens are looked for.
    "delegation.token.expiry.check.interval.ms", Long, Is("3600000"), AtLeast(1), Low, ReadOnly,
        ignored: TOKENS;
    /// Life of a delegation token between renewals.
    "delegation.token.expiry.time.ms", Long, Is("86400000"), AtLeast(1), Medium, ReadOnly, ignored: TOKENS;
    /// Longest life of a delegation token.
    "delegation.token.max.lifetime.ms", Long, Is("604800000"), AtLeast(1), Medium, ReadOnly, ignored: TOKENS;
    /// Secret with which delegation tokens are signed; the same on every node.
    "delegation.token.secret.key", Password, Null, Any, Medium, ReadOnly, ignored: TOKENS;
    /// Class that makes a principal of a connection.
    "principal.builder.class", Class,
        Is("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"), Any, Medium,
        PerBroker, ignored: JAVA;
    /// Class that answers a SASL client's questions.
    "sasl.client.callback.handler.class", Class, Null, Any, Medium, ReadOnly, ignored: JAVA;
    /// SASL mechanisms that are offered.
    "sasl.enabled.mechanisms", List, Is("GSSAPI"), Any, Medium, PerBroker, ignored: SASL;
    /// Login modules of a listener and mechanism, in JAAS form.
    "sasl.jaas.config", Password, Null, Any, Medium, PerBroker, ignored: SASL;
    /// Path of `kinit`.
    "sasl.kerberos.kinit.cmd", String, Is("/usr/bin/kinit"), Any, Medium, PerBroker, ignored: KERBEROS;
    /// Shortest time between two ticket refreshes.
    "sasl.kerberos.min.time.before.relogin", Long, Is("60000"), Any, Medium, PerBroker, ignored: KERBEROS;
    /// Rules that make a user name of a Kerberos principal.
    "sasl.kerberos.principal.to.local.rules", List, Is("DEFAULT"), Any, Medium, PerBroker, ignored: KERBEROS;
    /// The broker's Kerberos service name.
    "sasl.kerberos.service.name", String, Null, Any, Medium, PerBroker, ignored: KERBEROS;
    /// Random share that is added to the renewal time.
    "sasl.kerberos.ticket.renew.jitter", Double, Is("0.05"), Any, Medium, PerBroker, ignored: KERBEROS;
    /// Share of a ticket's life after which it is renewed.
    "sasl.kerberos.ticket.renew.window.factor", Double, Is("0.8"), Any, Medium, PerBroker, ignored: KERBEROS;
    /// Class that answers a login's questions.
    "sasl.login.callback.handler.class", Class, Null, Any, Medium, ReadOnly, ignored: JAVA;
    /// Class that logs in.
    "sasl.login.class", Class, Null, Any, Medium, ReadOnly, ignored: JAVA;
    /// How long connecting to the token provider may take.
    "sasl.login.connect.timeout.ms", Int, Null, Any, Low, ReadOnly, ignored: SASL;
    /// How long the token provider's answer may take.
    "sasl.login.read.timeout.ms", Int, Null, Any, Low, ReadOnly, ignored: SASL;
    /// Seconds before a token's end at which it must have been refreshed.
    "sasl.login.refresh.buffer.seconds", Short, Is("300"), Any, Medium, PerBroker, ignored: SASL;
    /// Fewest seconds between two refreshes of a token.
    "sasl.login.refresh.min.period.seconds", Short, Is("60"), Any, Medium, PerBroker, ignored: SASL;
    /// Share of a token's life after which it is refreshed.
    "sasl.login.refresh.window.factor", Double, Is("0.8"), Any, Medium, PerBroker, ignored: SASL;
    /// Random share of a token's life that is added to that.
    "sasl.login.refresh.window.jitter", Double, Is("0.05"), Any, Medium, PerBroker, ignored: SASL;
    /// How long a login rests after many failures.
    "sasl.login.retry.backoff.max.ms", Long, Is("10000"), Any, Low, ReadOnly, ignored: SASL;
    /// How long a login rests after the first failure.
    "sasl.login.retry.backoff.ms", Long, Is("100"), Any, Low, ReadOnly, ignored: SASL;
    /// SASL mechanism towards controllers.
    "sasl.mechanism.controller.protocol", String, Is("GSSAPI"), Any, High, ReadOnly, ignored: SASL;
    /// SASL mechanism among brokers.
    "sasl.mechanism.inter.broker.protocol", String, Is("GSSAPI"), Any, Medium, PerBroker, ignored: SASL;
    /// Whether tokens are accepted without an expected audience being configured.
    "sasl.oauthbearer.allow.unverified.audience", Boolean, Is("false"), Any, Medium, ReadOnly,
        ignored: OAUTH;
    /// Whether tokens are accepted without an expected issuer being configured.
    "sasl.oauthbearer.allow.unverified.issuer", Boolean, Is("false"), Any, Medium, ReadOnly, ignored: OAUTH;
    /// Algorithm with which the node signs its assertion.
    "sasl.oauthbearer.assertion.algorithm", String, Is("RS256"), OneOfIgnoringCase(&["ES256", "RS256"]),
        Medium, ReadOnly, ignored: OAUTH;
    /// Audience claim of the node's assertion.
    "sasl.oauthbearer.assertion.claim.aud", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// Seconds until the node's assertion expires.
    "sasl.oauthbearer.assertion.claim.exp.seconds", Int, Is("300"), Between(0, 86_400), Low, ReadOnly,
        ignored: OAUTH;
    /// Issuer claim of the node's assertion.
    "sasl.oauthbearer.assertion.claim.iss", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// Whether the node's assertion has an id of its own.
    "sasl.oauthbearer.assertion.claim.jti.include", Boolean, Is("false"), Any, Medium, ReadOnly,
        ignored: OAUTH;
    /// Seconds by which the node's assertion is valid before it is made.
    "sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Is("60"), Between(0, 3600), Low, ReadOnly,
        ignored: OAUTH;
    /// Subject claim of the node's assertion.
    "sasl.oauthbearer.assertion.claim.sub", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// File that holds a ready assertion.
    "sasl.oauthbearer.assertion.file", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// File with the key that signs the assertion.
    "sasl.oauthbearer.assertion.private.key.file", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// Password of that key.
    "sasl.oauthbearer.assertion.private.key.passphrase", Password, Null, Any, Medium, ReadOnly,
        ignored: OAUTH;
    /// File with more headers and claims for the assertion.
    "sasl.oauthbearer.assertion.template.file", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// Client id with which the node asks for its token.
    "sasl.oauthbearer.client.credentials.client.id", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// Client secret with which the node asks for its token.
    "sasl.oauthbearer.client.credentials.client.secret", Password, Null, Any, Medium, ReadOnly,
        ignored: OAUTH;
    /// Seconds by which clocks may differ.
    "sasl.oauthbearer.clock.skew.seconds", Int, Is("30"), Any, Low, ReadOnly, ignored: OAUTH;
    /// Audiences of which a token must name one.
    "sasl.oauthbearer.expected.audience", List, Is(""), Any, High, ReadOnly, ignored: OAUTH;
    /// Issuer that a token must name.
    "sasl.oauthbearer.expected.issuer", String, Null, Any, High, ReadOnly, ignored: OAUTH;
    /// How often the provider's keys are fetched.
    "sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Is("3600000"), Any, Low, ReadOnly, ignored: OAUTH;
    /// How long fetching keys rests after many failures.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Is("10000"), Any, Low, ReadOnly,
        ignored: OAUTH;
    /// How long fetching keys rests after the first failure.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Is("100"), Any, Low, ReadOnly, ignored: OAUTH;
    /// Where the provider's keys are.
    "sasl.oauthbearer.jwks.endpoint.url", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// Class that gets tokens.
    "sasl.oauthbearer.jwt.retriever.class", Class,
        Is("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"), Any, Medium, ReadOnly,
        ignored: JAVA;
    /// Class that checks tokens.
    "sasl.oauthbearer.jwt.validator.class", Class,
        Is("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"), Any, Medium, ReadOnly,
        ignored: JAVA;
    /// Scope that the node asks for.
    "sasl.oauthbearer.scope", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// Claim that holds a token's scope.
    "sasl.oauthbearer.scope.claim.name", String, Is("scope"), Any, Low, ReadOnly, ignored: OAUTH;
    /// Claim that holds a token's user.
    "sasl.oauthbearer.sub.claim.name", String, Is("sub"), Any, Low, ReadOnly, ignored: OAUTH;
    /// Where tokens are given out.
    "sasl.oauthbearer.token.endpoint.url", String, Null, Any, Medium, ReadOnly, ignored: OAUTH;
    /// Class that answers a SASL server's questions.
    "sasl.server.callback.handler.class", Class, Null, Any, Medium, ReadOnly, ignored: JAVA;
    /// Largest SASL message that is accepted before authentication.
    "sasl.server.max.receive.size", Int, Is("524288"), Any, Medium, ReadOnly, ignored: SASL;
    /// Java security providers.
    "security.providers", String, Null, Any, Low, ReadOnly, ignored: JAVA;
    /// Whether a new key store may have another subject.
    "ssl.allow.dn.changes", Boolean, Is("false"), Any, Low, ReadOnly, ignored: TLS;
    /// Whether a new key store may have other alternative names.
    "ssl.allow.san.changes", Boolean, Is("false"), Any, Low, ReadOnly, ignored: TLS;
    /// TLS cipher suites that are offered; empty for the library's own.
    "ssl.cipher.suites", List, Is(""), Any, Medium, PerBroker, ignored: TLS;
    /// Whether clients must, may or need not show a certificate.
    "ssl.client.auth", String, Is("none"), OneOf(&["required", "requested", "none"]), Medium, PerBroker,
        ignored: TLS;
    /// TLS versions that are offered.
    "ssl.enabled.protocols", List, Is("TLSv1.2,TLSv1.3"), Any, Medium, PerBroker, ignored: TLS;
    /// How another node's certificate is matched with its host name; empty for not at all.
    "ssl.endpoint.identification.algorithm", String, Is("https"), Any, Low, PerBroker, ignored: TLS;
    /// Class that makes TLS engines.
    "ssl.engine.factory.class", Class, Null, Any, Low, PerBroker, ignored: JAVA;
    /// Password of the private key.
    "ssl.key.password", Password, Null, Any, Medium, PerBroker, ignored: TLS;
    /// Java's algorithm for key managers.
    "ssl.keymanager.algorithm", String, Is("SunX509"), Any, Medium, PerBroker, ignored: JAVA_TLS;
    /// The node's certificate chain in PEM.
    "ssl.keystore.certificate.chain", Password, Null, Any, Medium, PerBroker, ignored: TLS;
    /// The node's private key in PEM.
    "ssl.keystore.key", Password, Null, Any, Medium, PerBroker, ignored: TLS;
    /// File with the node's private key and certificate.
    "ssl.keystore.location", String, Null, Any, Medium, PerBroker, ignored: TLS;
    /// Password of the key store.
    "ssl.keystore.password", Password, Null, Any, Medium, PerBroker, ignored: TLS;
    /// Format of the key store: JKS, PKCS12 or PEM.
    "ssl.keystore.type", String, Is("JKS"), Any, Medium, PerBroker, ignored: TLS;
    /// Rules that make a user name of a certificate's subject.
    "ssl.principal.mapping.rules", String, Is("DEFAULT"), Any, Low, ReadOnly, ignored: TLS;
    /// Newest TLS version that is used.
    "ssl.protocol", String, Is("TLSv1.3"), Any, Medium, PerBroker, ignored: TLS;
    /// Java's TLS provider.
    "ssl.provider", String, Null, Any, Medium, PerBroker, ignored: JAVA_TLS;
    /// Java's random generator for TLS.
    "ssl.secure.random.implementation", String, Null, Any, Low, PerBroker, ignored: JAVA_TLS;
    /// Java's algorithm for trust managers.
    "ssl.trustmanager.algorithm", String, Is("PKIX"), Any, Medium, PerBroker, ignored: JAVA_TLS;
    /// Trusted certificates in PEM.
    "ssl.truststore.certificates", Password, Null, Any, Medium, PerBroker, ignored: TLS;
    /// File with trusted certificates.
    "ssl.truststore.location", String, Null, Any, Medium, PerBroker, ignored: TLS;
    /// Password of the trust store.
    "ssl.truststore.password", Password, Null, Any, Medium, PerBroker, ignored: TLS;
    /// Format of the trust store: JKS, PKCS12 or PEM.
    "ssl.truststore.type", String, Is("JKS"), Any, Medium, PerBroker, ignored: TLS;
}
