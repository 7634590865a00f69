//! The byte stream under a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::client::TlsStream;

/// Plain or encrypted, authenticated or not: bytes both ways.
#[derive(Debug)]
pub(crate) struct Stream {
    kind: Kind,
    /// Hash of the server's certificate (`tls-server-end-point`, RFC 5929), for SCRAM.
    channel_binding: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self { kind: Kind::Tcp(stream), channel_binding: None }
    }

    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self { kind: Kind::Unix(stream), channel_binding: None }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>, channel_binding: Option<Vec<u8>>) -> Self {
        Self { kind: Kind::Tls(Box::new(stream)), channel_binding }
    }

    pub(crate) fn channel_binding(&self) -> Option<&[u8]> {
        self.channel_binding.as_deref()
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.kind, Kind::Tls(_))
    }
}

macro_rules! forward {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().kind {
            Kind::Tcp(tcp) => {
                let $stream = Pin::new(tcp);
                $call
            }
            Kind::Unix(unix) => {
                let $stream = Pin::new(unix);
                $call
            }
            Kind::Tls(tls) => {
                let $stream = Pin::new(tls.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_shutdown(context))
    }
}
