//! The images of the tests: PostgreSQL as Debian packages it, and an app whose releases carry their migrations.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::image::ImageError;
use crate::cluster::{Image, node};

/// The database server.
pub(crate) const POSTGRES: &str = "registry.example.com/postgres:15";

/// The app's repository; its releases are tags.
pub(crate) const APP: &str = "registry.example.com/shop/api";

/// What the migration of each release does, in order.
const MIGRATIONS: [(&str, &str); 3] = [
    ("v1", "CREATE TABLE item (name text PRIMARY KEY);\nINSERT INTO item VALUES ('lamp');\n"),
    ("v2", "ALTER TABLE item ADD COLUMN colour text NOT NULL DEFAULT 'grey';\n"),
    ("v3", "ALTER TABLE item ADD COLUMN price numeric NOT NULL DEFAULT 1;\n"),
];

/// What each release asks of the schema, first thing when it starts.
const QUERIES: [(&str, &str); 3] = [
    ("v1", "SELECT name FROM item"),
    ("v2", "SELECT name, colour FROM item"),
    ("v3", "SELECT name, colour, price FROM item"),
];

/// `$1` is the query: without the columns it names the app does not start.
const SERVE: &str = "#!/bin/sh
set -eu
psql \"$DATABASE_URL\" --no-psqlrc --set=ON_ERROR_STOP=1 --command=\"$(cat /app/query.sql)\"
exec httpd -f -p 8080 -h /app/www
";

/// Writes all images into a folder and returns the archives.
pub(crate) fn write(folder: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let postgres = folder.join("postgres.tar");
    postgres_image()?.write(&postgres)?;
    let mut archives = vec![postgres];
    for (index, (release, _)) in MIGRATIONS.iter().enumerate() {
        let archive = folder.join(format!("shop-{release}.tar"));
        app_image(index)?.write(&archive)?;
        archives.push(archive);
    }
    Ok(archives)
}

/// PostgreSQL's folder of the newest installed version, say `/usr/lib/postgresql/15`.
fn postgresql() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let servers =
        installed.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").is_file());
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    servers.max_by_key(version).expect("PostgreSQL is not installed: run `make tools`")
}

fn with_shell(image: Image) -> Result<Image, ImageError> {
    let busybox = node::on_path("busybox").expect("busybox is not installed: run `make tools`");
    let program = busybox.to_string_lossy().into_owned();
    let image = image.program(busybox)?;
    let applets = ["cat", "httpd", "sh", "sleep", "wget"];
    Ok(applets
        .into_iter()
        .fold(image, |image, applet| image.link(&format!("/bin/{applet}"), &program)))
}

fn postgres_image() -> Result<Image, ImageError> {
    let folder = postgresql();
    let version = folder.file_name().expect("a version").to_string_lossy().into_owned();
    let mut image = with_shell(Image::new(POSTGRES))?
        .file("/etc/passwd", 0o644, "postgres:x:999:999::/data:/bin/sh\n")
        .user("999:999")
        .env("PATH", &format!("/bin:{}", folder.join("bin").display()));
    for program in ["initdb", "pg_isready", "postgres", "psql"] {
        image = image.program(folder.join("bin").join(program))?;
    }
    for library in ["plpgsql.so", "dict_snowball.so"] {
        image = image.program(folder.join("lib").join(library))?;
    }
    let share = format!("/usr/share/postgresql/{version}");
    image.copy(&share, &share)
}

fn app_image(index: usize) -> Result<Image, ImageError> {
    let (release, _) = MIGRATIONS[index];
    let psql = postgresql().join("bin/psql");
    let mut image = with_shell(Image::new(format!("{APP}:{release}")))?
        .program(&psql)?
        .link("/bin/psql", &psql.to_string_lossy())
        .file("/app/serve", 0o755, SERVE)
        .file("/app/query.sql", 0o644, QUERIES[index].1)
        .file("/app/www/index.html", 0o644, format!("shop {release}\n"))
        .user("10001:10001")
        .env("PATH", "/bin")
        .command(["/app/serve"]);
    for (release, sql) in &MIGRATIONS[..=index] {
        image = image.file(&format!("/migrations/{release}.sql"), 0o644, *sql);
    }
    Ok(image)
}
