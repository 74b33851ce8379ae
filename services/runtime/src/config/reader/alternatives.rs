//! Enums: `name`, `name: settings`, or `!name settings` as YAML is printed.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, VariantAccess, Visitor,
};

use super::{Known, ReadError, Reader};

/// One alternative of several, by its name.
pub(super) struct Variant<'a> {
    pub(super) name: String,
    pub(super) content: Option<Reader<'a>>,
}

impl<'a> EnumAccess<'a> for Variant<'a> {
    type Error = ReadError;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'a>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'a>), ReadError> {
        let name: StrDeserializer<'_, ReadError> = self.name.as_str().into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

/// What stands behind the name of an alternative.
pub(super) struct Content<'a>(Option<Reader<'a>>);

impl<'a> Content<'a> {
    fn required(self) -> Result<Reader<'a>, ReadError> {
        self.0
            .ok_or_else(|| ReadError::custom("the settings of this alternative below its name"))
    }
}

impl<'a> VariantAccess<'a> for Content<'a> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.0 {
            Some(content) if !content.value.is_null() => {
                Err(ReadError::custom("nothing below this alternative").at(content.path))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.required()?)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.required()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        fields: Known,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.required()?.deserialize_struct("", fields, visitor)
    }
}
