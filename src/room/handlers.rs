//! Handlers by type of message.

use std::{collections::BTreeMap, fmt};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Player, RoomContext, RoomError};

type Handler<R> = Box<dyn Fn(&mut R, &mut RoomContext, &Player, Value) -> Result<(), RoomError> + Send + Sync>;

/// A table from the type of a message to what a room `R` does with it.
///
/// Made once per room type and shared by its rooms; `on_message` calls
/// [`dispatch`](Self::dispatch). Handlers are plain functions: one that must await (a
/// [`save`](RoomContext::save), say) is written in `on_message` itself.
///
/// ```
/// # use roomraft::room::{MessageHandlers, Player, RoomContext, RoomError};
/// #[derive(serde::Deserialize)]
/// struct Step {
///     x: f64,
/// }
/// struct Arena {
///     x: f64,
/// }
/// let handlers = MessageHandlers::<Arena>::new().on("step", |arena, _ctx, _player, step: Step| {
///     arena.x += step.x;
///     Ok(())
/// });
/// assert!(handlers.handles("step"));
/// ```
pub struct MessageHandlers<R> {
    handlers: BTreeMap<String, Handler<R>>,
}

impl<R> Default for MessageHandlers<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for MessageHandlers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}

impl<R> MessageHandlers<R> {
    /// An empty table.
    pub fn new() -> Self {
        Self { handlers: BTreeMap::new() }
    }

    /// Adds the handler of a type, in place of an older one. Its data is parsed first; what does
    /// not parse is [`RoomError::Malformed`] and does not reach the handler.
    #[must_use]
    pub fn on<T: DeserializeOwned>(
        mut self,
        message_type: &str,
        handler: impl Fn(&mut R, &mut RoomContext, &Player, T) -> Result<(), RoomError> + Send + Sync + 'static,
    ) -> Self {
        let parsing: Handler<R> =
            Box::new(move |room, ctx, player, data| handler(room, ctx, player, serde_json::from_value(data)?));
        self.handlers.insert(message_type.to_owned(), parsing);
        self
    }

    /// Whether a type has a handler.
    pub fn handles(&self, message_type: &str) -> bool {
        self.handlers.contains_key(message_type)
    }

    /// Hands a message to its handler.
    ///
    /// # Errors
    /// [`RoomError::UnknownMessage`] without a handler, [`RoomError::Malformed`], or what the handler gives.
    pub fn dispatch(
        &self,
        room: &mut R,
        ctx: &mut RoomContext,
        player: &Player,
        message_type: &str,
        data: Value,
    ) -> Result<(), RoomError> {
        let handler =
            self.handlers.get(message_type).ok_or_else(|| RoomError::UnknownMessage(message_type.to_owned()))?;
        handler(room, ctx, player, data)
    }
}
