//! Reads and writes with buffers that the operation owns.

use std::future::Future;
use std::io;

use blitz_core::waiting::{Resource, Site};
use blitz_driver::completion::{send_zc_owned, send_zc_vectored_owned};
use blitz_io_traits::IoBuf;

use super::TcpStream;
use crate::context::call;
use crate::net::stream::owned::owned_face;

owned_face! {
    TcpStream;
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::{TcpListener, TcpStream};
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, _) = listener.accept().await?;
    ///
    /// let (sent, _buf) = client.write_owned("owned").await;
    /// assert_eq!(sent?, 5);
    /// let (received, buf) = server.read_owned(Vec::with_capacity(1024)).await;
    /// assert_eq!(received?, 5);
    /// assert_eq!(buf, b"owned");
    /// # Ok(())
    /// # }
    /// ```
    ;
    ///
    /// # Examples
    /// ```
    /// use blitz_io::net::{TcpListener, TcpStream};
    ///
    /// # #[blitz_io::main]
    /// # async fn main() -> std::io::Result<()> {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, _) = listener.accept().await?;
    /// client.try_write(b"on loan")?;
    /// drop(client);
    ///
    /// let view = server.recv_lease().await?;
    /// assert_eq!(&view[..], b"on loan");
    /// let bytes: bytes::Bytes = view.into(); // without a copy
    /// assert!(server.recv_lease().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
}

impl TcpStream {
    /// Writes from a buffer without a copy, where the kernel can and the size makes it worth while.
    ///
    /// The buffer comes back when the network has let go of it: for bytes that the peer must acknowledge that is a round trip
    /// later, so have several under way. Small buffers, and all on a back end or socket that cannot, are sent as by
    /// [`write_owned`](TcpStream::write_owned). That copies, too, but into the kernel, and is not counted by
    /// [`bytes_copied`](crate::net::bytes_copied).
    ///
    /// # Cancel safety
    /// **Not safe**: what a dropped write has sent is not known.
    ///
    /// # Errors
    /// As for [`write_owned`](TcpStream::write_owned).
    #[track_caller]
    pub fn send_zc<B: IoBuf>(&self, buf: B) -> impl Future<Output = (io::Result<usize>, B)> {
        static CALL: Site = Site::new("TcpStream::send_zc", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let (sent, buf) = send_zc_owned(&self.io.source, buf).await;
            (sent.map(|sent| sent.len), buf)
        })
    }
    /// Writes from several buffers in one call, one after the other, without a copy where the kernel can and the size makes
    /// it worth while; returns how many bytes it took, and the buffers.
    ///
    /// Of more than 1,024 buffers the first so many are taken. Otherwise as [`send_zc`](TcpStream::send_zc).
    ///
    /// # Cancel safety
    /// **Not safe**: what a dropped write has sent is not known.
    ///
    /// # Errors
    /// As for [`write_owned`](TcpStream::write_owned).
    ///
    /// # Examples
    /// ```
    /// # #[blitz_io::main(crate = "blitz_io")]
    /// # async fn main() -> std::io::Result<()> {
    /// use blitz_io::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, _) = listener.accept().await?;
    ///
    /// let (sent, parts) = client.send_zc_vectored(vec![&b"head, "[..], &b"body"[..]]).await;
    /// assert_eq!((sent?, parts.len()), (10, 2));
    /// let (received, buf) = server.read_owned(Vec::with_capacity(1024)).await;
    /// assert_eq!((received?, &buf[..]), (10, &b"head, body"[..]));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn send_zc_vectored<B: IoBuf>(
        &self,
        bufs: Vec<B>,
    ) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        static CALL: Site = Site::new("TcpStream::send_zc_vectored", Resource::Descriptor);
        call(&CALL, self.number(), async move {
            let (sent, bufs) = send_zc_vectored_owned(&self.io.source, bufs).await;
            (sent.map(|sent| sent.len), bufs)
        })
    }
}
