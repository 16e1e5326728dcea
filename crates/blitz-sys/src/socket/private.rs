//! A Unix socket that only this process's user can reach.
//!
//! A name is bound before anyone can connect: until `listen` the kernel refuses every connection, and by then the file's mode
//! is 0600, whatever the umask. Whoever connects is asked once more who it is. A name that is in the way is only taken away if
//! it is a socket of this user's to which nobody listens, and under the folder's lock: one who has bound a name and does not listen
//! yet looks like one who has died, and what was found dead may have been replaced meanwhile.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::local::{self, peer_credentials};
use crate::descriptor::{AsFd, AsRawFd, OwnedFd};

const OWNER_ONLY: u32 = 0o600;
const OTHERS: u32 = 0o177;
/// So many that connect at once wait to be accepted.
const BACKLOG: i32 = 16;
/// A folder is locked for the time of a few system calls: whoever keeps it so long does something else with it.
const LOCKED_MAX: Duration = Duration::from_secs(2);
/// Between two tries to lock it.
const LOCK_TICK: Duration = Duration::from_millis(1);

/// A listening socket with a name in the file system, which goes away with it.
#[derive(Debug)]
pub struct PrivateListener {
    listener: UnixListener,
    name: Name,
    /// A child that was forked from this process ends nothing here.
    process: u32,
}

/// A file's name, and which file that was.
#[derive(Debug)]
struct Name {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl PrivateListener {
    /// Binds `path`, for this user alone, and listens. What is left of a process that ended is replaced; of several who want to do
    /// that at once, threads or processes, one does.
    ///
    /// # Errors
    /// `AddrInUse` if a process listens there, or one that ended has left the name and the folder cannot be locked (it is not readable,
    /// or its file system has no such locks); `AlreadyExists` if the name is that of something else than a socket; `PermissionDenied`
    /// if the socket is another user's, or the folder is not writable; `NotFound` if there is no such folder; `TimedOut` if another
    /// process keeps the folder locked; `InvalidInput` if the path is too long for a socket's name.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let address = local::address(path)?;
        // Until it listens.
        let lock = FolderLock::of(path)?;
        clear_the_way(path, lock.is_some())?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Where the system takes the mode of the new file from the socket, it is right from its first moment.
        // SAFETY: the descriptor is open; no memory is touched.
        let _ = unsafe { libc::fchmod(socket.as_raw_fd(), OWNER_ONLY as libc::mode_t) };
        socket.bind(&address)?;
        let bound = fs::symlink_metadata(path)?;
        let name = Name {
            path: path.to_owned(),
            device: bound.dev(),
            inode: bound.ino(),
        };
        // From here on the name goes away on any error.
        let listener = Self {
            listener: UnixListener::from(OwnedFd::from(socket)),
            name,
            process: std::process::id(),
        };
        if bound.mode() & OTHERS != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY))?;
        }
        SockRef::from(&listener.listener).listen(BACKLOG)?;
        Ok(listener)
    }

    /// The next connection of this user's, or of root's; others are turned away. Waits.
    ///
    /// # Errors
    /// Those of `accept(2)`; after [`end_accepts`](Self::end_accepts) always one.
    pub fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept()?;
            if may_come_in(&stream) {
                return Ok(stream);
            }
        }
    }

    /// Ends an [`accept`](Self::accept) that waits, and makes the next ones fail.
    pub fn end_accepts(&self) {
        if self.is_foreign() {
            return;
        }
        let _ = super::shutdown(self.listener.as_fd(), Shutdown::Both);
        // Where that does not end the wait, a connection does.
        let _ = try_connect(&self.name.path);
    }

    /// Takes the name away, if it still is this socket's.
    pub fn remove_name(&self) {
        if self.is_foreign() {
            return;
        }
        let Ok(found) = fs::symlink_metadata(&self.name.path) else {
            return;
        };
        if (found.dev(), found.ino()) == (self.name.device, self.name.inode) {
            // If that fails, what is left is what a later process replaces.
            let _ = fs::remove_file(&self.name.path);
        }
    }

    /// True in a child that was forked from the process that bound it: it is not the child's to end.
    pub fn is_foreign(&self) -> bool {
        std::process::id() != self.process
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.name.path
    }
}

impl Drop for PrivateListener {
    fn drop(&mut self) {
        self.remove_name();
    }
}

/// The lock of the folder in which a name is bound: between those who do that here. Nothing else is kept from anything.
struct FolderLock(File);

impl FolderLock {
    /// `None` where there is no lock to be had.
    ///
    /// # Errors
    /// `TimedOut` if somebody else keeps it.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) else {
            return Ok(None);
        };
        let begun = Instant::now();
        loop {
            match folder.try_lock() {
                Ok(()) => return Ok(Some(Self(folder))),
                Err(TryLockError::Error(_)) => return Ok(None),
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCKED_MAX => {
                    thread::sleep(LOCK_TICK);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "another process keeps the folder locked: choose a folder of your own",
                    ));
                }
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Not by the close alone: a child that is being forked now has the descriptor too. That fails for no file that was locked.
        let _ = self.0.unlock();
    }
}

/// Removes a socket that a process of this user has left behind, if the folder is locked.
fn clear_the_way(path: &Path, is_locked: bool) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let refuse = |kind, says: &str| Err(io::Error::new(kind, says));
    if !found.file_type().is_socket() {
        return refuse(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is no socket: remove it, or choose another name",
        );
    }
    if found.uid() != own_user() {
        return refuse(
            io::ErrorKind::PermissionDenied,
            "there is a socket of that name that belongs to another user: choose another name",
        );
    }
    match try_connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && !is_locked => refuse(
            io::ErrorKind::AddrInUse,
            "a process that ended has left a socket there, and the folder cannot be locked to replace it: remove it",
        ),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => refuse(
            io::ErrorKind::AddrInUse,
            "a running process listens there: choose another name",
        ),
    }
}

/// Connects without a wait: a listener whose line is full is there all the same.
fn try_connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// Whether the peer is this process's user, or root, from whom nothing is hidden.
fn may_come_in(stream: &UnixStream) -> bool {
    peer_credentials(stream.as_fd()).is_ok_and(|peer| peer.user == own_user() || peer.user == 0)
}

/// The effective user of this process.
pub fn own_user() -> u32 {
    // SAFETY: it cannot fail and takes nothing.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// Held by who forks, and by who closes a socket and then looks whether it is closed: a child has it open, too.
    static FORK: std::sync::Mutex<()> = std::sync::Mutex::new(());

    fn alone() -> std::sync::MutexGuard<'static, ()> {
        FORK.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A folder that goes away with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("blitz-private-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn join(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_the_owner_may_and_the_name_goes_away() {
        let folder = Folder::new("mode");
        let path = folder.join("socket");
        let listener = PrivateListener::bind(&path).unwrap();
        assert_eq!(listener.path(), path);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, OWNER_ONLY);
        let client = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut stream = UnixStream::connect(path).unwrap();
                stream.write_all(b"x").unwrap();
            }
        });
        let mut stream = listener.accept().unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        client.join().unwrap();
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_replaced_and_a_live_one_is_not() {
        let _alone = alone();
        let folder = Folder::new("stale");
        let path = folder.join("socket");
        // std's listener leaves its name behind.
        drop(UnixListener::bind(&path).unwrap());
        let listener = PrivateListener::bind(&path).unwrap();
        let error = PrivateListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
    }

    /// However many want the name of one who died, one gets it, and the others are told that it listens.
    #[test]
    fn one_of_many_replaces_what_a_dead_process_left() {
        const RIVALS: usize = 4;
        let folder = Folder::new("race");
        for round in 0..50 {
            let path = folder.join(&round.to_string());
            drop(UnixListener::bind(&path).unwrap());
            let start = std::sync::Barrier::new(RIVALS);
            let bind = || {
                start.wait();
                PrivateListener::bind(&path)
            };
            let bound: Vec<_> = thread::scope(|scope| {
                let rivals: Vec<_> = (0..RIVALS).map(|_| scope.spawn(bind)).collect();
                rivals
                    .into_iter()
                    .map(|rival| rival.join().unwrap())
                    .collect()
            });
            let (won, lost): (Vec<_>, Vec<_>) = bound.into_iter().partition(Result::is_ok);
            assert_eq!(won.len(), 1, "{won:?}");
            for error in lost.into_iter().map(Result::unwrap_err) {
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
            }
            UnixStream::connect(&path).unwrap();
        }
    }

    /// Whoever holds the folder's lock is waited for, another process as well as a thread; the lock goes with the bind.
    #[test]
    fn a_locked_folder_is_waited_for_and_not_for_ever() {
        let folder = Folder::new("locked");
        let path = folder.join("socket");
        let held = FolderLock::of(&path).unwrap().unwrap();
        let error = PrivateListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(!path.exists());
        drop(held);
        let first = PrivateListener::bind(&path).unwrap();
        let second = PrivateListener::bind(&folder.join("other")).unwrap();
        drop((first, second));
    }

    #[test]
    fn without_a_lock_nothing_is_removed() {
        let folder = Folder::new("lockless");
        let path = folder.join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let error = clear_the_way(&path, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let folder = Folder::new("file");
        let path = folder.join("precious");
        fs::write(&path, "precious").unwrap();
        let error = PrivateListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let link = folder.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let error = PrivateListener::bind(&link).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_name_that_became_anothers_is_left_alone() {
        let folder = Folder::new("moved");
        let path = folder.join("socket");
        let listener = PrivateListener::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(listener);
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    }

    #[test]
    fn a_wait_for_connections_can_be_ended() {
        let folder = Folder::new("end");
        let listener = std::sync::Arc::new(PrivateListener::bind(&folder.join("socket")).unwrap());
        let waits = std::thread::spawn({
            let listener = std::sync::Arc::clone(&listener);
            move || while listener.accept().is_ok() {}
        });
        listener.end_accepts();
        waits.join().unwrap();
    }

    #[test]
    fn a_forked_child_ends_nothing_of_its_parents() {
        let _alone = alone();
        let folder = Folder::new("fork");
        let path = folder.join("socket");
        let listener = PrivateListener::bind(&path).unwrap();
        // SAFETY: the child makes system calls on what it has, and leaves without a destructor.
        let child = unsafe { libc::fork() };
        if child == 0 {
            listener.end_accepts();
            listener.remove_name();
            // SAFETY: it does not return.
            unsafe { libc::_exit(0) };
        }
        assert!(child > 0);
        // SAFETY: no status is asked for.
        let ended = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        assert_eq!(ended, child);
        UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn impossible_names_say_so() {
        let folder = Folder::new("names");
        let long = folder.join(&"x".repeat(200));
        let error = PrivateListener::bind(&long).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = PrivateListener::bind(&folder.join("no/such/folder")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
