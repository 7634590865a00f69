//! What happens before a cluster's first start: folder, watchdog, `initdb`, configuration files, a port.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;

use super::Cluster;
use super::account::Account;
use super::installation::Installation;
use super::options::Options;
use super::server::Layout;
use super::watchdog::Watchdog;
use crate::{Error, Version};

/// How often another port is tried when one was taken in the meantime.
pub(super) const PORT_ATTEMPTS: usize = 8;

/// Ports below the range that Linux gives to outgoing connections: none of those can take the port of a stopped
/// server before it is started again.
const PORTS: std::ops::Range<u16> = 17_000..32_000;

/// Makes a cluster that has never been started.
pub(super) fn make(version: Version, options: &Options) -> Result<Cluster, Error> {
    let account = Account::choose()?;
    let installation = Installation::locate(version)?;
    account
        .demand_entry(&installation.programs, "set CLEAVE_SERVERS to a folder that all users can enter")?;
    let parent = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    account.demand_entry(&parent, "set TMPDIR to a folder that all users can enter")?;

    let (layout, watchdog) = claim_folder(&parent, &account)?;
    let password = options.superuser_password.then(random_password).transpose()?;
    initdb(version, &layout, &account, &installation, password.as_deref())?;
    write_configuration(version, &layout, &account, options)?;
    Ok(Cluster {
        version,
        account,
        program: installation.program("postgres"),
        port: free_port()?,
        password,
        server: Mutex::new(None),
        turn: tokio::sync::Mutex::new(()),
        layout,
        _watchdog: watchdog,
    })
}

/// Creates a new folder that only the account may enter. The watchdog is there before the folder is.
pub(super) fn claim_folder(parent: &Path, account: &Account) -> Result<(Layout, Watchdog), Error> {
    loop {
        let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(10).collect();
        let folder = parent.join(format!("cleave-{name}"));
        let watchdog = Watchdog::start(&folder)?;
        let mut builder = DirBuilder::new();
        match builder.mode(0o700).create(&folder) {
            Ok(()) => {
                let layout = Layout { folder };
                account.give(&layout.folder)?;
                create_folder(&layout.sockets(), account)?;
                return Ok((layout, watchdog));
            }
            Err(error) => {
                watchdog.call_off();
                if error.kind() != io::ErrorKind::AlreadyExists {
                    return Err(Error::file("create", &folder)(error));
                }
            }
        }
    }
}

fn create_folder(path: &Path, account: &Account) -> Result<(), Error> {
    DirBuilder::new().mode(0o700).create(path).map_err(Error::file("create", path))?;
    account.give(path)
}

fn initdb(
    version: Version,
    layout: &Layout,
    account: &Account,
    installation: &Installation,
    password: Option<&str>,
) -> Result<(), Error> {
    let program = installation.program("initdb");
    let mut command = layout.command(account, &program);
    command.arg("-D").arg(layout.data()).args(["--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]);
    command.args(["--auth=trust", "--no-sync", "--no-instructions"]);
    let password_file = layout.folder.join("password");
    if let Some(password) = password {
        write_private(&password_file, password, account)?;
        command.arg("--pwfile").arg(&password_file);
    }
    let output = command.output().map_err(|source| Error::Program { program, source })?;
    layout.forget_pid();
    if password.is_some() {
        fs::remove_file(&password_file).map_err(Error::file("remove", &password_file))?;
    }
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Initdb { version, output: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

fn write_configuration(
    version: Version,
    layout: &Layout,
    account: &Account,
    options: &Options,
) -> Result<(), Error> {
    let data = layout.data();
    append(&data.join("postgresql.conf"), &options.configuration(version, &layout.sockets()))?;
    let access = data.join("pg_hba.conf");
    fs::write(&access, options.access()).map_err(Error::file("write", &access))?;
    if let Some(tls) = &options.tls {
        write_private(&data.join("server.crt"), &tls.certificate, account)?;
        write_private(&data.join("server.key"), &tls.key, account)?;
    }
    Ok(())
}

/// Appends settings to `postgresql.conf`, where the last line about a parameter counts.
pub(super) fn append_settings(layout: &Layout, settings: &[(&str, &str)]) -> Result<(), Error> {
    append(&layout.data().join("postgresql.conf"), &super::options::lines(settings.iter().copied()))
}

fn append(path: &Path, text: &str) -> Result<(), Error> {
    let mut file = File::options().append(true).open(path).map_err(Error::file("open", path))?;
    file.write_all(text.as_bytes()).map_err(Error::file("write", path))
}

/// Writes a file that only the account can read; PostgreSQL refuses a key that others could.
fn write_private(path: &Path, text: &str, account: &Account) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(Error::file("create", path))?;
    file.write_all(text.as_bytes()).map_err(Error::file("write", path))?;
    account.give(path)
}

/// A password that nobody can guess; it guards the demonstration against other users of the machine.
fn random_password() -> Result<String, Error> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    let mut source = File::open(path).map_err(Error::file("open", path))?;
    source.read_exact(&mut bytes).map_err(Error::file("read", path))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A TCP port that nobody listens on at this moment.
pub(super) fn free_port() -> Result<u16, Error> {
    const ATTEMPTS: usize = 1000;
    let mut candidates = std::iter::repeat_with(|| fastrand::u16(PORTS)).take(ATTEMPTS);
    candidates.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).ok_or(Error::NoPort)
}
