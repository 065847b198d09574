use super::{elements, read, script};
use crate::domain::command::read_command;

#[test]
fn never_runners() {
    let mut wrong = Vec::new();
    for line in NEVER.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let reading = read(line);
        if reading.runner.is_some() || reading.bare_verb.is_some() {
            wrong.push(format!("{line}: {reading:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn scripts_without_a_runner() {
    for row in NEVER_IN_SCRIPTS.lines().filter(|row| !row.is_empty()) {
        assert_eq!(script(&row.replace("\\n", "\n")).runner, None, "{row}");
    }
}

const NEVER_IN_SCRIPTS: &str = r#"
# python manage.py migrate
echo ok # && alembic upgrade head
echo 'alembic upgrade head'
echo "running: alembic upgrade head"
cat <<EOF\nalembic upgrade head\nEOF
cat > /tmp/x <<'EOF'\nalembic upgrade head\nEOF\nsleep 1
grep 'manage.py migrate' Procfile
until python manage.py migrate --check; do sleep 1; done
while ! alembic current; do sleep 1; done
until rake db:abort_if_pending_migrations; do sleep 1; done
kubectl exec deploy/api -- alembic upgrade head
MIGRATE=1 gunicorn app
alembic() { echo no; }; alembic upgrade head
log() { echo "$@"; }; log alembic upgrade head
log() { echo "[$(date)] $*"; }; log "manage.py migrate"
psql -f -
cat /backup.sql | psql
psql <<EOF\nSELECT 1;\nINSERT INTO t VALUES (1);\nEOF
SQL='ALTER TABLE t'; echo $SQL
kubectl get crd | xargs kubectl patch
😀 'alembic upgrade
[[ -f migrate.sh && $A == upgrade ]]
for m in migrate upgrade; do echo $m; done
case $1 in migrate) echo no;; esac
"#;

#[test]
fn images_and_arguments_without_a_runner() {
    for (image, args) in [
        ("migrate/migrate", "version"),
        ("flyway/flyway", "info"),
        ("openfga/openfga", "run"),
        ("apache/airflow", "scheduler"),
        ("kyverno/kyverno-cli", "migrate --resource clusterpolicies.kyverno.io"),
        (
            "knative.dev/pkg/apiextensions/storageversion/cmd/migrate",
            "services.serving.knative.dev",
        ),
        ("ingress-nginx/kube-webhook-certgen", "create --host=x"),
        ("acme/shop", "serve"),
        ("acme/shop", "migrate --dry-run"),
        ("acme/shop", "migrate status"),
        ("acme/shop", "--config /c.yaml"),
        ("groundnuty/k8s-wait-for", "job shop-migrate"),
    ] {
        let reading = read_command(&[], &elements(args), Some(image));
        assert!(
            reading.runner.is_none() && reading.bare_verb.is_none(),
            "{image} {args}: {reading:?}"
        );
    }
    assert_eq!(read_command(&[], &[], Some("migrate/migrate")).runner, None);
}

#[test]
fn bare_verbs() {
    for (command, args, verb) in [
        ("", "migrate", Some("migrate")),
        ("", "db-upgrade", Some("db-upgrade")),
        ("", "--config /c.yaml migrate", Some("migrate")),
        ("", "up", Some("up")),
        ("/app/shop", "migrate", Some("migrate")),
        ("/app/shop", "--config /c.yaml migrate", Some("migrate")),
        ("dotnet", "Shop.Api.dll migrate", Some("migrate")),
        ("/shop", "migratedb", Some("migratedb")),
        ("/shop", "--mode=migrate", Some("migrate")),
        ("./run.sh", "migrate", Some("migrate")),
        ("/shop", "serve", None),
        ("/shop", "migrate --check", None),
        ("/shop", "migrate-storage", None),
        ("kubectl", "migrate", None),
    ] {
        let command: Vec<&str> = command.split_whitespace().collect();
        let reading = read_command(&command, &elements(args), Some("acme/shop"));
        assert_eq!(reading.bare_verb.as_deref(), verb, "{command:?} {args}");
        assert_eq!(reading.runner, None, "{command:?} {args}");
    }
}

#[test]
fn checks() {
    for (line, want) in [
        ("python manage.py showmigrations", "manage.py showmigrations"),
        ("python manage.py migrate --check", "manage.py migrate"),
        ("alembic current", "alembic current"),
        ("rails db:abort_if_pending_migrations", "rails db:abort_if_pending_migrations"),
        ("flyway validate", "flyway validate"),
        ("flyway info", "flyway info"),
        ("npm run migrate:status", "npm run migrate:status"),
        ("curl -fsS http://user:pw@api/health", "curl"),
        ("curl -o /dev/null http://api/health", "curl"),
        ("wget --spider http://api/health", "wget"),
        ("wget -qO- http://api/health", "wget"),
        ("psql :: -c :: SELECT count(*) FROM t", "psql SELECT"),
        ("sh :: -c :: set -e; sleep 5; curl -f http://api/health", "curl"),
        (
            "sh :: -c :: until python manage.py migrate --check; do sleep 1; done",
            "manage.py migrate",
        ),
    ] {
        assert_eq!(read(line).checks.as_deref(), Some(want), "{line}");
    }
    for line in [
        "curl -O https://example.com/x.tgz",
        "curl -X POST http://api/reindex",
        "curl -d a=b http://api",
        "wget https://example.com/x.tgz",
        "psql :: -c :: INSERT INTO t SELECT 1",
        "pg_isready -h db",
        "echo ok",
    ] {
        assert_eq!(read(line).checks, None, "{line}");
    }
}

const NEVER: &str = r"
# Forms of the known tools that change nothing.
python manage.py migrate --check
python manage.py migrate --plan
python manage.py showmigrations
python manage.py makemigrations
python manage.py sqlmigrate shop 0001
python manage.py migrate --help
python manage.py wait_for_db
python manage.py migrate_media_to_s3
python manage.py collectstatic --noinput
python manage.py createsuperuser
python manage.py check --database default
rails db:migrate:status
rails db:abort_if_pending_migrations
rails db:create
rails db:seed
rails db:version
rails data:migrate
rails generate migration AddName
rake gitlab:lfs:migrate
rake gitlab:uploads:migrate
gitlab-rake gitlab:artifacts:migrate
rake search:migrate
bundle exec sidekiq
alembic current
alembic heads
alembic history
alembic check
alembic stamp head
alembic revision --autogenerate
alembic upgrade head --sql
flask db current
flask db migrate
flask run
superset init
prisma migrate status
prisma migrate diff
prisma generate
prisma validate
prisma migrate dev --create-only
migrate -path /m -database x version
migrate create -ext sql x
goose status
goose validate
sqlx migrate info
diesel migration list
dbmate status
dbmate dump
dbmate wait
sql-migrate status
sql-migrate up -dryrun
flyway info
flyway validate
flyway -dryRunOutput=x.sql migrate
liquibase status
liquibase validate
liquibase update-sql
liquibase updateSQL
liquibase rollback-sql v1
atlas migrate status
atlas migrate lint
atlas schema apply --dry-run
atlas migrate diff
sequelize db:migrate:status
sequelize db:seed:all
typeorm migration:show
typeorm migration:generate
knex migrate:status
knex migrate:make x
drizzle-kit check
drizzle-kit generate
dotnet ef migrations list
dotnet ef migrations script
dotnet Shop.Api.dll
dotnet Shop.Api.dll --migrate=false
php artisan migrate:status
php artisan migrate --pretend
php artisan db:seed
php artisan queue:work
bin/console doctrine:migrations:status
bin/console doctrine:migrations:migrate --dry-run
bin/console doctrine:migrations:diff
bin/console doctrine:schema:update --dump-sql
bin/console cache:clear
mix ecto.migrations
mix ecto.create
bin/shop eval Shop.Release.seed
bin/shop eval Trento.Release.init()
airflow db check-migrations --migration-wait-timeout=60
airflow db check
airflow scheduler
airflow users create
kong migrations list
kong start
kratos migrate status
spicedb serve
hasura metadata apply
pgroll status
zitadel init
zitadel start-from-init
gitea admin user create
temporal-elasticsearch-tool setup-schema
temporal-sql-tool create-database temporal
sqitch status
aerich migrate
odoo -d shop --stop-after-init
psqldef --dry-run db
# Kubernetes, certificates, storage, search, queues, secrets.
kubectl apply -f migrate.yaml
kubectl exec deploy/api -- python manage.py migrate
oc exec pod -- rake db:migrate
helm upgrade db
kyverno migrate --resource clusterpolicies.kyverno.io
/migrate services.serving.knative.dev routes.serving.knative.dev
/ko-app/migrate services.serving.knative.dev
kube-storage-version-migrator --trigger
pv-migrate migrate old new
kube-webhook-certgen create --host=x --namespace=y
kube-webhook-certgen patch --webhook-name=x
velero migrate
vault operator migrate -config=m.hcl
etcdctl migrate
mc mirror a b
cilium-dbg preflight migrate-identity
consul-k8s-control-plane server-acl-init
longhorn-manager post-upgrade
kafka-topics.sh --create --topic migrate
brig-index migrate-data
git lfs migrate import
nx migrate latest
yarn upgrade
pnpm up
tailscale up
npm migrate
argocd admin export
# Names with a word that says something else.
/scripts/migrate-config.sh
/migrate-amazon-s3.sh
./migrate-secrets.sh
./migrate-storage.sh
bash /scripts/migrate-users.sh
npm run migrate:index
npm run es:migrate
make migrate-assets
make migrate-pvc
/opt/migrate_crds
/s3/migrate.sh
./no-migrate.sh
./upgrade-postgres-db.sh
./migrate-to-s3.sh
./wait-for-migrations.sh
./check-migrations.sh
npm run migration:generate
npm run migration:create
npm run migrate:status
make migrate-status
make migration-new
make test-migrations
./migrate.sh --dry-run
./migrate.sh status
./migrate.sh create add_users
/app/storage-migrator migrate up
dotnet ConfigMigration.dll
# Words in arguments of something else.
echo manage.py migrate
grep -r -- migrate.sh /app
cat /app/migrate.sh
sleep 30
ansible-playbook migrate.yml
gunicorn shop.wsgi
python -c import migrate
python app.py
node server.js
java -jar app.jar --spring.flyway.enabled=true
/bin/true
[ -f /app/migrate.sh ]
command -v migrate
terraform apply
/app/server upgrade
pg_dump shop
pg_restore -d shop x.dump
aws s3 sync s3://migrations /m
# SQL that is no migration.
psql :: -c :: SELECT 1
psql :: -c :: CREATE DATABASE shop
psql :: -c :: CREATE USER shop WITH PASSWORD 'x'
psql :: -c :: CREATE EXTENSION IF NOT EXISTS pgcrypto
psql :: -c :: GRANT CREATE, ALTER, DROP, INDEX ON shop TO shop
psql :: -c :: ALTER TABLE t OWNER TO shop
psql :: -c :: ALTER ROLE shop SET search_path = shop
psql :: -c :: ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO shop
psql :: -c :: SELECT 'CREATE TABLE x' -- ALTER TABLE y
psql :: -c :: INSERT INTO t VALUES ('DROP TABLE t')
psql :: -c :: CREATE TEMP TABLE t (a int)
psql :: -f :: /docker-entrypoint-initdb.d/x.sql
psql :: -f :: /scripts/create-users.sql
psql :: -f :: /backup/restore.sql
mysql :: -e :: CREATE DATABASE IF NOT EXISTS shop
clickhouse-client :: --query=DROP TABLE IF EXISTS ${DB}.${T}
mongosh :: --eval :: db.createUser({user: 'x'})
mongosh :: --eval :: rs.initiate()
redis-cli ping
# Rights and wrongs of shells.
sh
bash -c
sh :: echo test
";
