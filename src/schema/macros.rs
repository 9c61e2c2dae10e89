//! The macros that turn a declaration into a type, its codec and its layout.
//!
//! ```text
//! message! {
//!     /// What the message is.
//!     OffsetCommitValue [0-4] flexible [4+] {
//!         offset: i64, [0+];
//!         leader_epoch: i32, [3+], default -1;
//!         metadata: String, [0+];
//!         topic_id: Uuid, [4+], tag 0 [4+];
//!     }
//! }
//! ```
//!
//! A field is: name, Rust type, versions that have it, then as needed the versions in which it may be null
//! (its type is an `Option` then), its tag with the versions in which it is tagged, and its default. Fields
//! stand in the order of the wire, tagged ones last in the order of their tags. `structure!` declares a
//! struct nested in messages. Versions are written as in Kafka's schemas: `0+`, `3-5`, `4`.

macro_rules! versions {
    () => {
        $crate::schema::layout::Versions::NONE
    };
    (none) => {
        $crate::schema::layout::Versions::NONE
    };
    ($min:literal +) => {
        $crate::schema::layout::Versions::new($min, i16::MAX)
    };
    ($min:literal - $max:literal) => {
        $crate::schema::layout::Versions::new($min, $max)
    };
    ($only:literal) => {
        $crate::schema::layout::Versions::new($only, $only)
    };
}

pub(crate) use versions;

macro_rules! default_value {
    () => {
        Default::default()
    };
    ($value:expr) => {
        $value
    };
}

macro_rules! tag_or_zero {
    () => {
        0
    };
    ($tag:literal) => {
        $tag
    };
}

macro_rules! structure {
    ($(#[$meta:meta])* $name:ident { $(
        $field:ident: $ty:ty, [$($v:tt)+] $(, null [$($n:tt)+])? $(, tag $tag:literal [$($t:tt)+])?
            $(, default $default:expr)?;
    )* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $(
            #[doc = concat!(
                "`", stringify!($field), "`, versions ", $(stringify!($v)),+
                $(, ", default ", stringify!($default))?
            )]
            pub $field: $ty,
        )* }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: default_value!($($default)?)),* }
            }
        }

        #[allow(unused_mut, unused_variables, unused_imports)]
        impl $crate::schema::codec::Field for $name {
            const KIND: $crate::schema::layout::Kind = $crate::schema::layout::Kind::Struct(
                &$crate::schema::layout::StructLayout::new(
                    stringify!($name),
                    &[$($crate::schema::layout::FieldLayout {
                        name: stringify!($field),
                        kind: <$ty as $crate::schema::codec::Field>::KIND,
                        versions: versions!($($v)+),
                        nullable: versions!($($($n)+)?),
                        tagged: versions!($($($t)+)?),
                        tag: tag_or_zero!($($tag)?),
                    }),*],
                ),
            );

            fn encode<B: bytes::BufMut>(
                &self,
                buf: &mut B,
                cx: $crate::schema::codec::Cx,
            ) -> Result<(), $crate::schema::codec::EncodeError> {
                use $crate::schema::codec::{Field, put_varint};
                let version = cx.version;
                $(
                    if versions!($($v)+).has(version) && !versions!($($($t)+)?).has(version) {
                        Field::encode(&self.$field, buf, cx.nullable(versions!($($($n)+)?).has(version)))?;
                    }
                )*
                if cx.flexible {
                    let default = Self::default();
                    let mut count = 0u32;
                    $(
                        if versions!($($($t)+)?).has(version) && self.$field != default.$field {
                            count += 1;
                        }
                    )*
                    put_varint(buf, count);
                    $(
                        if versions!($($($t)+)?).has(version) && self.$field != default.$field {
                            let cx = cx.in_tag(versions!($($($n)+)?).has(version));
                            put_varint(buf, tag_or_zero!($($tag)?));
                            put_varint(buf, Field::size(&self.$field, cx) as u32);
                            Field::encode(&self.$field, buf, cx)?;
                        }
                    )*
                }
                Ok(())
            }

            fn size(&self, cx: $crate::schema::codec::Cx) -> usize {
                use $crate::schema::codec::{Field, varint_size};
                let version = cx.version;
                let mut size = 0;
                $(
                    if versions!($($v)+).has(version) && !versions!($($($t)+)?).has(version) {
                        size += Field::size(&self.$field, cx.nullable(versions!($($($n)+)?).has(version)));
                    }
                )*
                if cx.flexible {
                    let default = Self::default();
                    let mut count = 0u32;
                    $(
                        if versions!($($($t)+)?).has(version) && self.$field != default.$field {
                            let cx = cx.in_tag(versions!($($($n)+)?).has(version));
                            let bytes = Field::size(&self.$field, cx);
                            size += varint_size(tag_or_zero!($($tag)?)) + varint_size(bytes as u32) + bytes;
                            count += 1;
                        }
                    )*
                    size += varint_size(count);
                }
                size
            }

            fn decode(
                buf: &mut bytes::Bytes,
                cx: $crate::schema::codec::Cx,
            ) -> Result<Self, $crate::schema::codec::DecodeError> {
                use $crate::schema::codec::{Field, decode_tagged};
                let version = cx.version;
                let mut out = Self::default();
                $(
                    if versions!($($v)+).has(version) && !versions!($($($t)+)?).has(version) {
                        out.$field = Field::decode(buf, cx.nullable(versions!($($($n)+)?).has(version)))?;
                    }
                )*
                if cx.flexible {
                    decode_tagged(buf, |tag, value| {
                        $(
                            if versions!($($($t)+)?).has(version) && tag == tag_or_zero!($($tag)?) {
                                out.$field =
                                    Field::decode(value, cx.in_tag(versions!($($($n)+)?).has(version)))?;
                                return Ok(true);
                            }
                        )*
                        Ok(false)
                    })?;
                }
                Ok(out)
            }
        }

        impl $crate::schema::codec::Nullable for $name {
            fn encode_null<B: bytes::BufMut>(buf: &mut B, cx: $crate::schema::codec::Cx) {
                buf.put_i8(cx.null_struct());
            }
            fn null_size(_: $crate::schema::codec::Cx) -> usize {
                1
            }
            fn encode_some<B: bytes::BufMut>(
                &self,
                buf: &mut B,
                cx: $crate::schema::codec::Cx,
            ) -> Result<(), $crate::schema::codec::EncodeError> {
                buf.put_i8(1);
                $crate::schema::codec::Field::encode(self, buf, cx)
            }
            fn some_size(&self, cx: $crate::schema::codec::Cx) -> usize {
                1 + $crate::schema::codec::Field::size(self, cx)
            }
            fn decode_nullable(
                buf: &mut bytes::Bytes,
                cx: $crate::schema::codec::Cx,
            ) -> Result<Option<Self>, $crate::schema::codec::DecodeError> {
                match <i8 as $crate::schema::codec::Field>::decode(buf, cx)? {
                    null if null == cx.null_struct() => Ok(None),
                    1 => $crate::schema::codec::Field::decode(buf, cx).map(Some),
                    other => Err($crate::schema::codec::DecodeError::Marker(other)),
                }
            }
        }
    };
}

macro_rules! message {
    ($(#[$meta:meta])* $name:ident [$($v:tt)+] flexible [$($flex:tt)+] { $($fields:tt)* }) => {
        structure! { $(#[$meta])* $name { $($fields)* } }

        impl $name {
            /// The message's shape.
            pub const LAYOUT: $crate::schema::layout::MessageLayout = $crate::schema::layout::MessageLayout {
                body: match <$name as $crate::schema::codec::Field>::KIND {
                    $crate::schema::layout::Kind::Struct(body) => body,
                    _ => panic!("a message is a struct"),
                },
                versions: versions!($($v)+),
                flexible: versions!($($flex)+),
            };

            /// The newest version.
            pub const HIGHEST_VERSION: i16 = Self::LAYOUT.versions.max;

            fn cx(version: i16) -> Option<$crate::schema::codec::Cx> {
                Self::LAYOUT.versions.has(version).then(|| $crate::schema::codec::Cx {
                    version,
                    flexible: Self::LAYOUT.flexible.has(version),
                    nullable: false,
                    tagged: false,
                })
            }

            /// Appends the message as `version` has it. Fields that the version lacks are left out.
            ///
            /// # Errors
            ///
            /// If there is no such version, a field is null where the version needs a value, or too long
            /// for its length. What was appended until then stays in `buf`.
            pub fn encode<B: bytes::BufMut>(
                &self,
                buf: &mut B,
                version: i16,
            ) -> Result<(), $crate::schema::codec::EncodeError> {
                let cx = Self::cx(version)
                    .ok_or($crate::schema::codec::EncodeError::Version(stringify!($name), version))?;
                $crate::schema::codec::Field::encode(self, buf, cx)
            }

            /// Bytes that [`Self::encode`] appends; 0 if there is no such version.
            pub fn encoded_size(&self, version: i16) -> usize {
                Self::cx(version).map_or(0, |cx| $crate::schema::codec::Field::size(self, cx))
            }

            /// Takes the message from the front of `buf`; safe on bytes from anybody. What follows stays in
            /// `buf`.
            ///
            /// # Errors
            ///
            /// If there is no such version or the bytes are not the message. `buf` is somewhere inside it
            /// then.
            pub fn decode(
                buf: &mut bytes::Bytes,
                version: i16,
            ) -> Result<Self, $crate::schema::codec::DecodeError> {
                let cx = Self::cx(version).ok_or($crate::schema::codec::DecodeError::Version(
                    stringify!($name),
                    i32::from(version),
                ))?;
                $crate::schema::codec::Field::decode(buf, cx)
            }
        }
    };
}

macro_rules! kind {
    (bool) => { $crate::schema::layout::Kind::Bool };
    (int8) => { $crate::schema::layout::Kind::Int8 };
    (int16) => { $crate::schema::layout::Kind::Int16 };
    (uint16) => { $crate::schema::layout::Kind::Uint16 };
    (int32) => { $crate::schema::layout::Kind::Int32 };
    (uint32) => { $crate::schema::layout::Kind::Uint32 };
    (int64) => { $crate::schema::layout::Kind::Int64 };
    (float64) => { $crate::schema::layout::Kind::Float64 };
    (uuid) => { $crate::schema::layout::Kind::Uuid };
    (string) => { $crate::schema::layout::Kind::String };
    (bytes) => { $crate::schema::layout::Kind::Bytes };
    (records) => { $crate::schema::layout::Kind::Records };
    ([$($element:tt)+]) => { $crate::schema::layout::Kind::Array(&kind!($($element)+)) };
    ($layout:ident) => { $crate::schema::layout::Kind::Struct(&$layout) };
}

/// Layouts without types: a module per message, in it a constant per struct, and `MESSAGE` for the whole. A
/// field is its name, its type in Kafka's terms, its versions, then as needed those in which it may be
/// null, and its tag.
macro_rules! layouts {
    ($(
        $module:ident $root:ident [$($v:tt)+] flexible [$($flex:tt)+] { $(
            $name:ident { $(
                $field:ident $kind:tt [$($fv:tt)+] $(null [$($n:tt)+])? $(tag $tag:literal [$($t:tt)+])?;
            )* }
        )+ }
    )+) => { $(
        #[allow(non_upper_case_globals)]
        pub(super) mod $module {
            use $crate::schema::layout::{FieldLayout, MessageLayout, StructLayout};
            $(
                const $name: StructLayout = StructLayout::new(stringify!($name), &[$(FieldLayout {
                    name: stringify!($field),
                    kind: kind!($kind),
                    versions: versions!($($fv)+),
                    nullable: versions!($($($n)+)?),
                    tagged: versions!($($($t)+)?),
                    tag: tag_or_zero!($($tag)?),
                }),*]);
            )+
            pub(in super::super) const MESSAGE: MessageLayout = MessageLayout {
                body: &$root,
                versions: versions!($($v)+),
                flexible: versions!($($flex)+),
            };
        }
    )+ };
}
