//! kafka-protocol's traits for our own messages, so that both sorts look the same to those who use them.

macro_rules! wire_message {
    (request $name:ident, key $key:literal, response $response:ty) => {
        wire_message! { codec $name }

        impl kafka_protocol::protocol::HeaderVersion for $name {
            fn header_version(version: i16) -> i16 {
                1 + i16::from($name::LAYOUT.flexible.has(version))
            }
        }

        impl kafka_protocol::protocol::Request for $name {
            const KEY: i16 = $key;
            type Response = $response;
        }
    };
    (response $name:ident) => {
        wire_message! { codec $name }

        impl kafka_protocol::protocol::HeaderVersion for $name {
            fn header_version(version: i16) -> i16 {
                i16::from($name::LAYOUT.flexible.has(version))
            }
        }
    };
    (response $name:ident, plain header) => {
        wire_message! { codec $name }

        impl kafka_protocol::protocol::HeaderVersion for $name {
            /// Always 0: who asks does not know yet which versions the other side has (KIP-511).
            fn header_version(_: i16) -> i16 {
                0
            }
        }
    };
    (codec $name:ident) => {
        impl kafka_protocol::protocol::Message for $name {
            const VERSIONS: kafka_protocol::protocol::VersionRange = kafka_protocol::protocol::VersionRange {
                min: $name::LAYOUT.versions.min,
                max: $name::LAYOUT.versions.max,
            };
            const DEPRECATED_VERSIONS: Option<kafka_protocol::protocol::VersionRange> = None;
        }

        impl kafka_protocol::protocol::Encodable for $name {
            fn encode<B: kafka_protocol::protocol::buf::ByteBufMut>(
                &self,
                buf: &mut B,
                version: i16,
            ) -> anyhow::Result<()> {
                Ok($name::encode(self, buf, version)?)
            }

            fn compute_size(&self, version: i16) -> anyhow::Result<usize> {
                Ok($name::encoded_size(self, version))
            }
        }

        impl kafka_protocol::protocol::Decodable for $name {
            fn decode<B: kafka_protocol::protocol::buf::ByteBuf>(
                buf: &mut B,
                version: i16,
            ) -> anyhow::Result<Self> {
                // A view of all that is left, without a copy if `buf` is `Bytes`; then skip what was read
                // of it.
                let left = buf.remaining();
                let mut bytes = buf.peek_bytes(0..left);
                let message = $name::decode(&mut bytes, version)?;
                buf.advance(left - bytes.len());
                Ok(message)
            }
        }
    };
}
