//! The start of a session (manual 55.2.1): trust, cleartext, MD5 and SCRAM-SHA-256, with channel binding over TLS.

use super::{
    BackendKey,
    wire::{Frame, FrameReader},
};
use crate::{PgError, ServerError, transport::Target};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    authentication::{md5_hash, sasl},
    message::{
        backend::{AuthenticationSaslBody, Message},
        frontend,
    },
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_postgres::config::ChannelBinding;

/// What the server says of itself before it takes commands.
pub(super) struct Ready {
    pub(super) key: BackendKey,
    /// 0 if the server did not say.
    pub(super) major_version: u32,
}

/// Answers the server's requests until it says `AuthenticationOk`. `binding` is what SCRAM can bind to the channel.
pub(super) async fn authenticate<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut W,
    target: &Target,
    binding: Option<Vec<u8>>,
) -> Result<(), PgError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut exchange = Exchange { reader, writer, target, what: format!("logging in to {}", target.server) };
    let endpoint = &target.endpoint;
    let message = match exchange.receive().await? {
        Message::AuthenticationOk => {
            return exchange.without_binding();
        }
        Message::AuthenticationCleartextPassword => {
            exchange.without_binding()?;
            let password = exchange.password()?;
            exchange.password_message(password).await?;
            exchange.receive().await?
        }
        Message::AuthenticationMd5Password(body) => {
            exchange.without_binding()?;
            let hash = md5_hash(endpoint.user().as_bytes(), exchange.password()?, body.salt());
            exchange.password_message(hash.as_bytes()).await?;
            exchange.receive().await?
        }
        Message::AuthenticationSasl(body) => {
            exchange.scram(&body, binding).await?;
            exchange.receive().await?
        }
        other => other,
    };
    match message {
        Message::AuthenticationOk => Ok(()),
        _ => Err(exchange.unexpected("an authentication method other than password, MD5 and SCRAM-SHA-256")),
    }
}

/// Reads to the first `ReadyForQuery`.
pub(super) async fn wait_until_ready<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    target: &Target,
) -> Result<Ready, PgError> {
    let mut ready = Ready { key: BackendKey::default(), major_version: 0 };
    loop {
        match receive(reader, target).await? {
            Message::BackendKeyData(body) => {
                ready.key = BackendKey { pid: body.process_id(), secret: body.secret_key() };
            }
            Message::ParameterStatus(body) if matches!(body.name(), Ok("server_version")) => {
                let digits = body.value().unwrap_or_default().split(|c: char| !c.is_ascii_digit()).next();
                ready.major_version = digits.and_then(|digits| digits.parse().ok()).unwrap_or_default();
            }
            Message::ReadyForQuery(_) => return Ok(ready),
            _ => {}
        }
    }
}

async fn receive<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    target: &Target,
) -> Result<Message, PgError> {
    let what = format!("logging in to {}", target.server);
    loop {
        return match reader.next(&what).await? {
            Some(Frame::Message(Message::ErrorResponse(body))) => {
                let error = ServerError::from_fields(body.fields());
                Err(PgError::from_startup(&target.server, target.endpoint.user(), error))
            }
            Some(Frame::Message(Message::NoticeResponse(_))) => continue,
            Some(Frame::Message(message)) => Ok(message),
            Some(_) => Err(PgError::protocol(what, "COPY data before the login")),
            None => Err(PgError::lost(what, "the server closed the connection")),
        };
    }
}

struct Exchange<'a, R, W> {
    reader: &'a mut FrameReader<R>,
    writer: &'a mut W,
    target: &'a Target,
    what: String,
}

impl<'a, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Exchange<'a, R, W> {
    fn password(&self) -> Result<&'a [u8], PgError> {
        let Target { endpoint, server, .. } = self.target;
        endpoint.password().ok_or_else(|| PgError::no_password(server, endpoint.user()))
    }

    /// `channel_binding=require` is not kept by any method but SCRAM-SHA-256-PLUS.
    fn without_binding(&self) -> Result<(), PgError> {
        if self.target.endpoint.channel_binding() == ChannelBinding::Require {
            return Err(self.unexpected("channel_binding=require, and the server does not bind"));
        }
        Ok(())
    }

    fn unexpected(&self, reason: impl Into<String>) -> PgError {
        PgError::protocol(&self.what, reason)
    }

    async fn receive(&mut self) -> Result<Message, PgError> {
        receive(self.reader, self.target).await
    }

    async fn send(&mut self, message: &BytesMut) -> Result<(), PgError> {
        let sent = async {
            self.writer.write_all(message).await?;
            self.writer.flush().await
        };
        sent.await.map_err(|error| PgError::lost(&self.what, error.to_string()))
    }

    async fn password_message(&mut self, password: &[u8]) -> Result<(), PgError> {
        let mut message = BytesMut::new();
        frontend::password_message(password, &mut message)
            .map_err(|error| self.unexpected(error.to_string()))?;
        self.send(&message).await
    }

    /// SASL authentication (manual 55.3).
    async fn scram(
        &mut self,
        offer: &AuthenticationSaslBody,
        binding: Option<Vec<u8>>,
    ) -> Result<(), PgError> {
        let (mechanism, binding) = self.choose(offer, binding)?;
        let mut scram = sasl::ScramSha256::new(self.password()?, binding);
        let mut message = BytesMut::new();
        frontend::sasl_initial_response(mechanism, scram.message(), &mut message)
            .map_err(|error| self.unexpected(error.to_string()))?;
        self.send(&message).await?;
        let Message::AuthenticationSaslContinue(body) = self.receive().await? else {
            return Err(self.unexpected("a message that is not part of SCRAM"));
        };
        scram.update(body.data()).map_err(|error| self.unexpected(error.to_string()))?;
        message.clear();
        frontend::sasl_response(scram.message(), &mut message)
            .map_err(|error| self.unexpected(error.to_string()))?;
        self.send(&message).await?;
        let Message::AuthenticationSaslFinal(body) = self.receive().await? else {
            return Err(self.unexpected("a message that is not part of SCRAM"));
        };
        // The server proves that it knows the password too.
        scram.finish(body.data()).map_err(|error| self.unexpected(error.to_string()))
    }

    fn choose(
        &self,
        offer: &AuthenticationSaslBody,
        binding: Option<Vec<u8>>,
    ) -> Result<(&'static str, sasl::ChannelBinding), PgError> {
        let offered: Vec<&str> =
            offer.mechanisms().collect().map_err(|error| self.unexpected(error.to_string()))?;
        let wanted = self.target.endpoint.channel_binding() != ChannelBinding::Disable;
        let binding = binding.filter(|_| wanted);
        if offered.contains(&sasl::SCRAM_SHA_256_PLUS)
            && let Some(binding) = binding
        {
            return Ok((sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(binding)));
        }
        if !offered.contains(&sasl::SCRAM_SHA_256) {
            return Err(self.unexpected("no SASL mechanism that is known here"));
        }
        self.without_binding()?;
        // `unrequested` tells the server that we could have bound: it fails if somebody took its offer away.
        let unbound = match binding {
            Some(_) => sasl::ChannelBinding::unrequested(),
            None => sasl::ChannelBinding::unsupported(),
        };
        Ok((sasl::SCRAM_SHA_256, unbound))
    }
}
