use super::*;
use proptest::prelude::*;

fn target(text: &str) -> Target {
    Target::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
}

fn reason(text: &str) -> Unusable {
    Target::parse(text).expect_err(text)
}

#[test]
fn what_names_a_database_is_read_in_every_form() {
    use Engine::{Mysql, Postgres, Redis, Tcp};
    let cases = [
        ("postgres://u:p@db.shop:6000/shop", Postgres, "db.shop:6000"),
        ("postgresql://db/shop?sslmode=require", Postgres, "db:5432"),
        ("postgresql+asyncpg://u:p@db/shop", Postgres, "db:5432"),
        ("pgx5://u:p@db/shop", Postgres, "db:5432"),
        ("cockroachdb://db/shop", Postgres, "db:26257"),
        ("postgis://db", Postgres, "db:5432"),
        ("POSTGRES://DB", Postgres, "DB:5432"),
        ("postgres://h1:1,h2:2/shop", Postgres, "h1:1,h2:2"),
        ("postgres://h1,h2:2/shop", Postgres, "h1:5432,h2:2"),
        ("postgres:///shop?host=db&port=1", Postgres, "db:1"),
        ("postgresql+psycopg2:///shop?host=h1:1&host=h2:2", Postgres, "h1:1,h2:2"),
        ("postgres://[fd00::7]:1/shop", Postgres, "[fd00::7]:1"),
        ("postgres://[fd00::7]/shop", Postgres, "[fd00::7]:5432"),
        ("postgres://u:p%40s%2Fs@db/shop", Postgres, "db:5432"),
        ("postgres://u:p@s#s&w[]@db/shop", Postgres, "db:5432"),
        ("jdbc:postgresql://db:1/shop?user=u&password=p", Postgres, "db:1"),
        ("jdbc:aws-wrapper:postgresql://db/shop", Postgres, "db:5432"),
        ("jdbc:mysql://db/shop", Mysql, "db:3306"),
        ("jdbc:mysql:loadbalance://h1,h2:1/shop", Mysql, "h1:3306,h2:1"),
        ("jdbc:mariadb:sequential://db:1/shop", Mysql, "db:1"),
        ("jdbc:sqlserver://db:1433;databaseName=shop;password=p@ss", Tcp, "db:1433"),
        ("jdbc:sqlserver://db\\two;portNumber=1444", Tcp, "db:1444"),
        ("jdbc:sqlserver://db\\two:1445;databaseName=shop", Tcp, "db:1445"),
        ("jdbc:sqlserver://db;port=1444", Tcp, "db:1444"),
        ("jdbc:sqlserver://db;databaseName=shop", Tcp, "db:1433"),
        ("sqlserver://u:p@db:1444/two?database=shop", Tcp, "db:1444"),
        ("sqlserver://u:p@db?database=shop", Tcp, "db:1433"),
        ("mssql+pyodbc://u:p@db/shop?driver=ODBC+Driver+18+for+SQL+Server", Tcp, "db:1433"),
        ("mssql+pyodbc://u:p@db:1444/shop", Tcp, "db:1444"),
        ("mssql+pymssql://u:p@db/shop", Tcp, "db:1433"),
        ("mysqlx://u:p@db/shop", Tcp, "db:33060"),
        ("clickhouse+http://db:8123/shop", Tcp, "db:8123"),
        ("clickhouse+native://db/shop", Tcp, "db:9000"),
        ("host=db TimeZone=Asia/Shanghai sslmode=disable", Postgres, "db:5432"),
        ("mysql2://u:p@db/shop", Mysql, "db:3306"),
        ("mysql+pymysql://u:p@db/shop", Mysql, "db:3306"),
        ("mysql://u:p@tcp(db:1)/shop", Mysql, "db:1"),
        ("u:p@/w@tcp(db:1)/shop?parseTime=true", Mysql, "db:1"),
        ("u:p@tcp(db)/shop", Mysql, "db:3306"),
        ("tcp(db:1)/shop", Mysql, "db:1"),
        ("host=db port=6000 dbname=shop password='it\\'s @ /'", Postgres, "db:6000"),
        ("host = db", Postgres, "db:5432"),
        ("host=h1,h2 port=1,2 user=u", Postgres, "h1:1,h2:2"),
        ("host=h1,h2 port=1", Postgres, "h1:1,h2:1"),
        ("redis://:p@cache", Redis, "cache:6379"),
        ("rediss://cache:1/0", Redis, "cache:1"),
        ("tcp://10.0.0.7:5432", Tcp, "10.0.0.7:5432"),
        ("mongodb://u:p@h1:1,h2/shop", Tcp, "h1:1,h2:27017"),
        ("clickhouse://db", Tcp, "db:9000"),
        ("db:5432", Postgres, "db:5432"),
        ("db:3306", Mysql, "db:3306"),
        ("db:6379", Redis, "db:6379"),
        ("db:9999", Tcp, "db:9999"),
        ("[fd00::7]:3306", Mysql, "[fd00::7]:3306"),
        ("file:5432", Postgres, "file:5432"),
        ("u:p@db:5432", Postgres, "db:5432"),
    ];
    for (text, engine, address) in cases {
        let target = target(text);
        assert_eq!((target.engine(), target.to_string().as_str()), (engine, address), "{text}");
    }
}

#[test]
fn what_cannot_be_waited_for_is_told_by_its_reason() {
    let cases = [
        ("", Unusable::Empty),
        ("  ", Unusable::Empty),
        ("postgres:///shop", Unusable::NoHost),
        ("jdbc:postgresql:shop", Unusable::NoHost),
        ("dbname=shop", Unusable::NoHost),
        ("db", Unusable::NoPort),
        ("tcp://db", Unusable::NoPort),
        ("/var/run/postgresql", Unusable::Socket),
        ("postgres:///shop?host=/var/run/postgresql", Unusable::Socket),
        ("postgres://%2Fvar%2Frun/shop", Unusable::Socket),
        ("host=/var/run/postgresql", Unusable::Socket),
        ("u:p@unix(/tmp/mysql.sock)/shop", Unusable::Socket),
        ("mysql+pymysql://u:p@db/shop?unix_socket=/tmp/mysql.sock", Unusable::Socket),
        ("jdbc:mariadb://db/shop?localSocket=/tmp/mysql.sock", Unusable::Socket),
        ("jdbc:mariadb://db/shop?pipe=mysql", Unusable::Indirect),
        (
            "jdbc:mysql://db/shop?socketFactory=com.google.cloud.sql.mysql.SocketFactory",
            Unusable::Indirect,
        ),
        ("jdbc:postgresql://db/shop?cloudSqlInstance=a:b:c", Unusable::Indirect),
        ("jdbc:mysql://db/shop?socksProxyHost=proxy", Unusable::Indirect),
        ("mssql+pyodbc://u:p@source", Unusable::NoPort),
        ("jdbc:sqlserver://db\\two;databaseName=shop", Unusable::NoPort),
        ("jdbc:sqlserver://db;instanceName=two", Unusable::NoPort),
        ("sqlserver://u:p@db/two?database=shop", Unusable::NoPort),
        ("jdbc:clickhouse://db/shop", Unusable::NoPort),
        ("jdbc:ch:https://db/shop", Unusable::NoPort),
        ("clickhouse+https://db/shop", Unusable::NoPort),
        ("clickhouse://db/shop?secure=true", Unusable::NoPort),
        ("sqlite:///shop.db", Unusable::File),
        ("sqlite:shop.db", Unusable::File),
        ("jdbc:sqlite:shop.db", Unusable::File),
        ("jdbc:h2:mem:shop", Unusable::File),
        ("file:shop.db", Unusable::File),
        ("oracle://db", Unusable::Scheme),
        ("jdbc:oracle:thin:@db:1521:shop", Unusable::Scheme),
        ("https://db", Unusable::Scheme),
        ("mongodb+srv://u:p@db/shop", Unusable::Srv),
        ("postgres://u:p/w@db/shop", Unusable::Credentials),
        ("postgres://u:p?w@db/shop", Unusable::Credentials),
        ("host=db password='a@b:5432", Unusable::Credentials),
        ("postgres://u:p@$(DB_HOST)/shop", Unusable::Host),
        ("host=db password=a b", Unusable::Host),
        ("1:2:3", Unusable::Host),
        ("postgres://db:x/shop", Unusable::Port),
        ("db:0", Unusable::Port),
        ("db:65536", Unusable::Port),
        ("db:+1", Unusable::Port),
        ("host=h1,h2,h3 port=1,2", Unusable::Ports),
    ];
    for (text, want) in cases {
        assert_eq!(reason(text), want, "{text}");
    }
}

#[test]
fn what_the_login_needs_is_read() {
    let target = target("postgres://ann%20b:secret@db/shop%2d1?sslmode=disable");
    assert_eq!((target.user(), target.database()), (Some("ann b"), Some("shop-1")));
    assert_eq!(target.tls(), Tls::Never);
    let target = Target::parse("host=db user=ann dbname=shop sslnegotiation=direct").unwrap();
    assert_eq!((target.user(), target.database()), (Some("ann"), Some("shop")));
    assert_eq!(target.tls(), Tls::Direct);
    let target = Target::parse("jdbc:postgresql://db/shop?user=ann&password=secret").unwrap();
    assert_eq!((target.user(), target.tls()), (Some("ann"), Tls::Offered));
    assert_eq!(Target::parse("rediss://secret@cache").unwrap().user(), None);
}

fn discovered(variables: &[(&str, &str)]) -> Discovery {
    discover(|name| {
        let pair = variables.iter().find(|(key, _)| *key == name);
        pair.map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_first_variable_with_a_value_counts() {
    let found = |variables: &[(&str, &str)]| match discovered(variables) {
        Discovery::Found(name, target) => {
            format!("{name} {} {}", target.engine(), target)
        }
        other => format!("{other:?}"),
    };
    let url = ("DATABASE_URL", "postgres://u:p@db/shop");
    assert_eq!(found(&[("PGHOST", "pg"), url]), "DATABASE_URL PostgreSQL db:5432");
    assert_eq!(found(&[("DATABASE_URL", " "), ("PGHOST", "pg")]), "PGHOST PostgreSQL pg:5432");
    assert_eq!(found(&[("PGHOST", "h1,h2"), ("PGPORT", "1,2")]), "PGHOST PostgreSQL h1:1,h2:2");
    let address = ("PGHOSTADDR", "10.0.0.7");
    assert_eq!(found(&[("PGHOST", "pg"), address]), "PGHOSTADDR PostgreSQL 10.0.0.7:5432");
    assert_eq!(found(&[("MYSQL_HOST", "db:1")]), "MYSQL_HOST MySQL db:1");
    assert_eq!(found(&[("DB_HOST", "db"), ("DB_PORT", "3306")]), "DB_HOST MySQL db:3306");
    assert_eq!(found(&[("PGHOST", "fd00::7")]), "PGHOST PostgreSQL [fd00::7]:5432");
    assert_eq!(found(&[("PGHOST", "tcp://pg:1")]), "PGHOST PostgreSQL pg:1");
}

#[test]
fn a_link_of_a_service_tells_the_port_of_that_service_alone() {
    // As a Service named postgres writes it, which may be that of an exporter.
    let port = |host: &str| {
        let variables = [("POSTGRES_HOST", host), ("POSTGRES_PORT", "tcp://10.0.0.7:6000")];
        match discovered(&variables) {
            Discovery::Found(_, target) => target.addresses()[0].port,
            other => panic!("{host}: {other:?}"),
        }
    };
    for host in ["postgres", "postgres.shop.svc", "POSTGRES", "10.0.0.7"] {
        assert_eq!(port(host), 6000, "{host}");
    }
    for host in ["pg", "postgres-a", "pg.postgres", "10.0.0.8"] {
        assert_eq!(port(host), 5432, "{host}");
    }
    assert_eq!(port("postgres:7000"), 7000);
    let link = ("SENTRY_POSTGRES_PORT", "tcp://10.0.0.7:6000");
    let service = discovered(&[("SENTRY_POSTGRES_HOST", "sentry-postgres"), link]);
    assert!(matches!(service, Discovery::Found(_, t) if t.to_string().ends_with(":6000")));
    let variables = [("DB_HOST", "pg"), ("DB_PORT", "tcp://10.0.0.7:5432")];
    assert_eq!(discovered(&variables), Discovery::Unusable("DB_HOST", Unusable::NoPort));
}

#[test]
fn a_path_behind_a_host_is_not_understood() {
    for host in ["pg/shop", "pg:5432/shop", "localhost/shop"] {
        let found = discovered(&[("PGHOST", host)]);
        assert_eq!(found, Discovery::Unusable("PGHOST", Unusable::Host), "{host}");
    }
}

#[test]
fn what_an_init_container_cannot_wait_for_is_told_apart() {
    assert_eq!(discovered(&[]), Discovery::Nothing);
    assert_eq!(discovered(&[("DB_HOST", "db")]), Discovery::Unusable("DB_HOST", Unusable::NoPort));
    let local = [
        "localhost",
        "LOCALHOST.",
        "db.localhost",
        "localhost.localdomain",
        "ip6-localhost",
        "ip6-loopback",
        "127.0.0.1",
        "127.9",
        "0.0.0.0",
        "[::1]",
        "::ffff:127.0.0.1",
        "localhost,127.0.0.2",
    ];
    for host in local {
        assert_eq!(discovered(&[("PGHOST", host)]), Discovery::Local("PGHOST"), "{host}");
    }
    for host in ["localhost.shop", "127.example.org", "128.0.0.1", "localhost,db", "fd00::1"] {
        let found = discovered(&[("PGHOST", host)]);
        assert!(matches!(found, Discovery::Found(..)), "{host}: {found:?}");
    }
}

/// Passwords that occur in nothing else that is printed.
fn password() -> impl Strategy<Value = String> {
    "[!-~ ]{0,6}SEKRET[!-~ ]{0,6}SEKRET[!-~ ]{0,6}"
}

/// Everything that is ever shown of a text.
fn shown(text: &str) -> String {
    let found = discovered(&[("DATABASE_URL", text), ("PGHOST", text), ("PGPORT", text)]);
    match Target::parse(text) {
        Ok(target) => format!("{target} {target:?} {found:?}"),
        Err(reason) => format!("{reason} {reason:?} {found:?}"),
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}", port in "\\PC{0,10}") {
        let _ = shown(&text);
        let _ = discovered(&[("DB_HOST", &text), ("DB_PORT", &port)]);
    }

    #[test]
    fn no_text_of_such_parts_panics(parts in proptest::collection::vec(
        prop::sample::select(vec![
            "jdbc:", "postgres", "mysql", "://", "host=", "port=", "'", "\\", "@", "tcp(", ")", "[",
            "]", ":", ",", "/", "?", ";", "&", "%2F", "%", "::1", "1", "db", " ", "é",
        ]), 0..12)) {
        let _ = shown(&parts.concat());
    }

    #[test]
    fn no_password_is_shown(
        form in prop::sample::select(vec![
            "postgres://ann:{}@db/shop", "postgresql+asyncpg://ann:{}@h1:1,h2:2/shop?sslmode=require",
            "mysql://ann:{}@db:3306/shop", "mysql://ann:{}@tcp(db:3306)/shop", "ann:{}@tcp(db:3306)/shop",
            "redis://:{}@cache", "redis://{}@cache", "mongodb://ann:{}@db/shop", "oracle://ann:{}@db/shop",
            "jdbc:postgresql://db/shop?user=ann&password={}", "jdbc:mysql://ann:{}@db/shop",
            "jdbc:sqlserver://db:1433;user=ann;password={}", "host=db password={}", "host=db password='{}'",
            "password={} host=db", "ann:{}@db:5432",
        ]),
        password in password(),
    ) {
        let text = form.replace("{}", &password);
        let shown = shown(&text);
        prop_assert!(!shown.contains("SEKRET"), "{} of {}", shown, text);
    }
}
