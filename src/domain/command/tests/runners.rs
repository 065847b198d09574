use super::{elements, read, script};
use crate::domain::command::read_command;
use crate::domain::runner::Certainty::Certain;
use crate::domain::runner::Effect;

/// Each line: command line, `=>`, what is shown of the runner, and in parentheses what is not an
/// application that is certain.
fn check(table: &str) {
    let mut wrong = Vec::new();
    for row in table.lines().filter(|row| !row.is_empty()) {
        let (line, want) = row.split_once(" => ").unwrap_or_default();
        let found = read(line).runner.map_or_else(String::new, |runner| {
            let effect = match runner.effect {
                Effect::Apply => "",
                Effect::Revert => " (revert)",
                Effect::Contract => " (contract)",
            };
            let certainty = if runner.certainty == Certain { "" } else { " (uncertain)" };
            format!("{}{effect}{certainty}", runner.command)
        });
        if found != want {
            wrong.push(format!("{row}\n    found: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn known_tools() {
    check(TOOLS);
}

const TOOLS: &str = r"
python manage.py migrate => manage.py migrate
python3.12 -u ./manage.py migrate --noinput --database default => manage.py migrate
django-admin migrate => django-admin migrate
python -m django migrate => django migrate
manage migrate --noinput => manage migrate
/opt/netbox/netbox/manage.py migrate --no-input => manage.py migrate
./manage.py lms migrate => manage.py migrate
awx-manage migrate => awx-manage migrate
nautobot-server post_upgrade => nautobot-server post_upgrade
python manage.py migrate_schemas --shared => manage.py migrate_schemas
python manage.py migrate shop zero => manage.py migrate zero (revert)
python manage.py migrate --fake => manage.py migrate (revert)
python manage.py migrate --check=false => manage.py migrate
python manage.py migrate_all_tenants => manage.py migrate_all_tenants (uncertain)
bundle exec rails db:migrate => rails db:migrate
bundle exec rake db:migrate RAILS_ENV=production => rake db:migrate
bin/rails db:prepare => rails db:prepare
rails db:create db:schema:load db:migrate => rails db:schema:load
rake db:setup => rake db:setup
bundle exec rails db:chatwoot_prepare => rails db:chatwoot_prepare
bundle exec rake db:migrate:primary => rake db:migrate:primary
gitlab-rake db:migrate => gitlab-rake db:migrate
zammad run rake db:migrate => zammad db:migrate
rails db:abort_if_pending_migrations db:migrate => rails db:migrate
rails db:rollback => rails db:rollback (revert)
rails db:drop db:create db:migrate => rails db:drop (revert)
rails db:reset => rails db:reset (revert)
rails db:migrate:down VERSION=1 => rails db:migrate:down (revert)
alembic upgrade head => alembic upgrade
alembic -c migrate/alembic.ini -x tenant=a upgrade head => alembic upgrade
python -m alembic.config upgrade head => alembic upgrade
alembic downgrade -1 => alembic downgrade (revert)
flask db upgrade => flask db upgrade
flask --app shop db upgrade => flask db upgrade
/app/manage.py db upgrade => manage.py db upgrade
superset db upgrade => superset db upgrade
mlflow db upgrade postgresql://mlflow:secret@db/mlflow => mlflow db upgrade
ckan -c /srv/app/ckan.ini db upgrade => ckan db upgrade
flask db downgrade => flask db downgrade (revert)
npx prisma migrate deploy => prisma migrate deploy
npx --yes prisma@5.22.0 migrate deploy --schema=./prisma/schema.prisma => prisma migrate deploy
node node_modules/prisma/build/index.js migrate deploy => prisma migrate deploy
prisma db push --accept-data-loss => prisma db push
prisma migrate reset --force => prisma migrate reset (revert)
migrate -path /migrations -database postgres://u:p@db/x up => migrate up
/migrate -source file:///m -database $(DB) goto 7 => migrate goto
migrate -path=/m -database=x down 1 => migrate down (revert)
migrate -path=/m -database=x force 3 => migrate force (revert)
goose -dir /migrations postgres $(DSN) up => goose up
goose up-to 2024 => goose up-to
goose down => goose down (revert)
sqlx migrate run => sqlx migrate run
cargo sqlx migrate run => sqlx migrate run
sqlx migrate revert => sqlx migrate revert (revert)
diesel migration run => diesel migration run
diesel migration redo => diesel migration redo (revert)
sea-orm-cli migrate up => sea-orm-cli migrate up
sea-orm-cli migrate fresh => sea-orm-cli migrate fresh (revert)
refinery migrate -e DATABASE_URL => refinery migrate
dbmate up => dbmate up
dbmate --wait -d /db/migrations migrate => dbmate migrate
dbmate rollback => dbmate rollback (revert)
sql-migrate up -env=production => sql-migrate up
sql-migrate redo => sql-migrate redo (revert)
flyway -url=jdbc:postgresql://db/x migrate => flyway migrate
flyway info migrate => flyway migrate
flyway repair migrate => flyway repair migrate
flyway clean migrate => flyway clean (revert)
liquibase --changelog-file=db.xml update => liquibase update
liquibase updateCount 3 => liquibase updateCount
liquibase update-to-tag v1 => liquibase update-to-tag
liquibase rollback-count 1 => liquibase rollback-count (revert)
liquibase drop-all => liquibase drop-all (revert)
atlas migrate apply --url $(DB) --dir file://m => atlas migrate apply
atlas schema apply --auto-approve => atlas schema apply
atlas migrate down => atlas migrate down (revert)
npx sequelize-cli db:migrate --env production => sequelize-cli db:migrate
sequelize db:migrate:undo:all => sequelize db:migrate:undo:all (revert)
npx typeorm migration:run -d dist/data-source.js => typeorm migration:run
node ./node_modules/typeorm/cli.js migration:run => typeorm migration:run
npm run typeorm migration:run => typeorm migration:run
npx mikro-orm migration:up => mikro-orm migration:up
npx @mikro-orm/cli@6 migration:up => mikro-orm/cli migration:up
knex migrate:latest --env production => knex migrate:latest
knex migrate:rollback => knex migrate:rollback (revert)
npx drizzle-kit migrate => drizzle-kit migrate
npx drizzle-kit push => drizzle-kit push
node-pg-migrate up => node-pg-migrate up
node-pg-migrate down => node-pg-migrate down (revert)
db-migrate up -e prod => db-migrate up
graphile-migrate migrate => graphile-migrate migrate
migrate-mongo up => migrate-mongo up
node ace migration:run --force => ace migration:run
npx directus database migrate:latest => directus database migrate:latest
npx medusa db:migrate => medusa db:migrate
npx @logto/cli db alteration deploy latest => logto/cli db alteration deploy
dotnet ef database update => ef database update
dotnet ef database drop -f => ef database drop (revert)
./efbundle --connection $(DB) => efbundle
dotnet Shop.Api.dll --migrate => Shop.Api.dll --migrate
./Acme.Shop.DbMigrator --quiet => Acme.Shop.DbMigrator
harbor_core -mode=migrate => harbor_core
dotnet Acme.Shop.DbMigrator.dll => Acme.Shop.DbMigrator.dll
php artisan migrate --force => artisan migrate
php8.2 -d memory_limit=-1 artisan migrate --isolated => artisan migrate
php artisan migrate:fresh --seed => artisan migrate:fresh (revert)
php bin/console doctrine:migrations:migrate --no-interaction => console doctrine:migrations:migrate
bin/console doctrine:schema:update --force => console doctrine:schema:update
bin/console doctrine:migrations:execute --down V1 => console doctrine:migrations:execute (revert)
vendor/bin/phinx migrate -e production => phinx migrate
drush updatedb -y => drush updatedb
vendor/bin/drush updb => drush updb
php occ upgrade => occ upgrade
wp core update-db --network => wp core update-db
bin/magento setup:upgrade --keep-generated => magento setup:upgrade
bin/cake migrations migrate => cake migrations migrate
./yii migrate --interactive=0 => yii migrate
php spark migrate => spark migrate
mix ecto.migrate => mix ecto.migrate
mix do ecto.create, ecto.migrate => mix ecto.migrate
mix ecto.rollback => mix ecto.rollback (revert)
bin/shop eval Shop.Release.migrate => shop eval migrate
bin/plausible eval Plausible.Release.migrate => plausible eval migrate
/app/bin/realtime eval Realtime.Release.migrate() => realtime eval migrate
bin/shop eval Shop.Release.rollback(Repo,1) => shop eval rollback (revert)
airflow db migrate => airflow db migrate
airflow db upgrade => airflow db upgrade
airflow db init => airflow db init
airflow db reset -y => airflow db reset (revert)
sentry upgrade --noinput => sentry upgrade
snuba migrations migrate --force => snuba migrations migrate
snuba bootstrap --force => snuba bootstrap
snuba migrations reverse => snuba migrations reverse (revert)
kong migrations up -c /etc/kong.conf => kong migrations up
kong migrations bootstrap => kong migrations bootstrap
kong migrations finish => kong migrations finish (contract)
kong migrations reset --yes => kong migrations reset (revert)
kratos migrate sql -e --yes => kratos migrate sql
hydra migrate sql up -e --yes => hydra migrate sql up
openfga migrate => openfga migrate
spicedb datastore migrate head => spicedb datastore migrate
spicedb migrate head => spicedb migrate
temporal-sql-tool --db temporal update-schema -d ./schema => temporal-sql-tool update-schema
temporal-cassandra-tool setup-schema -v 0.0 => temporal-cassandra-tool setup-schema
hasura migrate apply --all-databases => hasura migrate apply
pgroll start migration.json => pgroll start
pgroll complete => pgroll complete (contract)
pgroll rollback => pgroll rollback (revert)
reshape migrate => reshape migrate
reshape complete => reshape complete (contract)
zitadel setup --config /c.yaml => zitadel setup
authelia storage migrate up => authelia storage migrate up
mas-cli database migrate => mas-cli database migrate
gitea migrate => gitea migrate
forgejo migrate => forgejo migrate
mattermost db migrate => mattermost db migrate
prefect server database upgrade -y => prefect server database upgrade
dagster instance migrate => dagster instance migrate
nova-manage api_db sync => nova-manage api_db sync
keystone-manage db_sync => keystone-manage db_sync
neutron-db-manage --config-file n.conf upgrade heads => neutron-db-manage upgrade
ak migrate => ak migrate
sqitch deploy --verify db:pg: => sqitch deploy
yoyo apply --batch => yoyo apply
aerich upgrade => aerich upgrade
piccolo migrations forwards all => piccolo migrations forwards
tern migrate -m /m => tern migrate
psqldef -U u --file s.sql db => psqldef
skeema push production => skeema push
odoo -d shop -u all --stop-after-init => odoo
java -jar metabase.jar migrate up => metabase.jar migrate up
./gradlew flywayMigrate => gradlew flywayMigrate
/opt/hive/bin/schematool -dbType postgres -initOrUpgradeSchema => schematool
/opt/taskbroker --config /etc/c.yml --run migrations => taskbroker migrations
/entrypoint.sh db migrate => entrypoint.sh db migrate
";

#[test]
fn own_scripts_and_targets() {
    check(SCRIPTS);
}

const SCRIPTS: &str = r"
make migrate => make migrate
make -C backend db-migrate ENV=prod => make db-migrate
just migrate => just migrate
task db:migrate => task db:migrate
npm run migrate => npm run migrate
npm --prefix api run db:migrate:deploy => npm run db:migrate:deploy
npm run migration:latest => npm run migration:latest
npm run migrate -- --env production => npm run migrate
npm run migrate:down => npm run migrate:down (revert)
yarn db:migrate => yarn db:migrate
yarn --cwd api run migrate:up => yarn migrate:up
yarn workspace api run migration:run => yarn migration:run
yarn database:migrate:prod => yarn database:migrate:prod
pnpm --filter @repo/database db:deploy => pnpm db:deploy
pnpm -F @repo/db run migrate => pnpm migrate
pnpm --filter=api exec prisma migrate deploy => prisma migrate deploy
bun run migrate => bun run migrate
bun run src/migrate.ts => migrate.ts
pnpm -r run migrate => pnpm migrate
yarn node dist/migrate.js => migrate.js
deno task db:migrate => deno task db:migrate
turbo run db:migrate => turbo run db:migrate
nx run api:migrate => nx run migrate
composer run migrate => composer run migrate
/app/migrate.sh => migrate.sh
bash /app/run-migrations.sh => run-migrations.sh
sh -x ./db-migrate.sh => db-migrate.sh
python scripts/migrate.py => migrate.py
python -m shop.db.migrate => migrate
python litellm/proxy/prisma_migration.py => prisma_migration.py
node dist/migrate.js => migrate.js
node dist/runMigrations.js => runMigrations.js
node dist/migrations/index.js => index.js (uncertain)
/app/bin/migrate => migrate
./bin/docker-entrypoint-migrator.sh => docker-entrypoint-migrator.sh
/scripts/wait-for-deps /scripts/db-migrate => db-migrate
./migrate.sh up => migrate.sh
./migrate --direction=up => migrate
./migrate.sh down => migrate.sh (revert)
./migrate.sh acme => migrate.sh (uncertain)
./migrate.sh postgres://u:p@db/x => migrate.sh
node migrate.js ./dist/migrations => migrate.js
dotnet fm migrate --version 3 => fm migrate
/app/wait-for-db-and-migrate.sh => wait-for-db-and-migrate.sh
cargo run --bin migrate => cargo run migrate
go run ./cmd/migrate up => migrate up
/app/shop db upgrade => shop db upgrade (uncertain)
/main migrate up => main migrate up (uncertain)
shop --config /etc/shop.yaml database migrate => shop database migrate (uncertain)
node server.js --migrate => server.js --migrate (uncertain)
node cli.js database migrate:latest => cli.js database migrate:latest (uncertain)
bin/app db:migrate => app db:migrate (uncertain)
";

#[test]
fn behind_wrappers() {
    for wrapper in WRAPPERS.lines().filter(|wrapper| !wrapper.is_empty()) {
        let line = format!("{wrapper} alembic upgrade head");
        let runner = read(&line).runner;
        assert!(
            runner
                .as_ref()
                .is_some_and(|r| r.command == "alembic upgrade" && r.certainty == Certain),
            "{line}: {runner:?}"
        );
    }
}

#[test]
fn broken_and_nested_forms() {
    check(BROKEN);
}

const BROKEN: &str = r#"
python :: manage.py migrate => manage.py migrate
alembic upgrade head ::  => alembic upgrade
cd /app && npm run migrate ::  => npm run migrate
bash :: -euxo :: pipefail :: -c :: alembic upgrade head => alembic upgrade
bash :: -o :: pipefail :: -ec :: alembic upgrade head => alembic upgrade
busybox :: sh :: -c :: alembic upgrade head => alembic upgrade
su :: app :: -s :: /bin/sh :: -c :: alembic upgrade head => alembic upgrade
su :: - :: app :: -c :: alembic upgrade head => alembic upgrade
npx :: -c :: prisma migrate deploy => prisma migrate deploy
sops :: exec-env :: s.yaml :: alembic upgrade head => alembic upgrade
sh :: -c :: nc -z db 5432 && exec "$@" :: -- :: npm :: run :: migrate => npm run migrate
./with-env.sh alembic upgrade head => alembic upgrade (uncertain)
bin/shop :: eval :: Shop.Release.migrate() => shop eval migrate
"#;

#[test]
fn inside_scripts() {
    for row in IN_SCRIPTS.lines().filter(|row| !row.is_empty()) {
        let (text, want) = row.split_once(" => ").unwrap_or_default();
        let found = script(&text.replace("\\n", "\n")).runner.map_or_else(String::new, |runner| {
            let certainty = if runner.certainty == Certain { "" } else { " (uncertain)" };
            format!("{}{certainty}", runner.command)
        });
        assert_eq!(found, want, "{row}");
    }
}

/// Each line: a script, with `\n` for a line's end, and what is shown of its runner.
const IN_SCRIPTS: &str = r#"
set -e; cd /app; . venv/bin/activate; python manage.py migrate => manage.py migrate
DJANGO_SETTINGS_MODULE=prod python manage.py migrate --noinput => manage.py migrate
exec \\nairflow db migrate => airflow db migrate
if [ "$RUN" = 1 ]; then alembic upgrade head; fi => alembic upgrade
case $1 in up) goose up ;; *) exit 1 ;; esac => goose up
for t in a b; do flask db upgrade; done => flask db upgrade
while true; do npx knex migrate:latest && break; sleep 2; done => knex migrate:latest
{ alembic upgrade head; } => alembic upgrade
( cd api && alembic upgrade head ) => alembic upgrade
run() { alembic upgrade head; }\nrun => alembic upgrade
retry() { for i in 1 2 3; do "$@" && return 0; sleep 5; done; return 1; }; retry ls; retry alembic upgrade head => alembic upgrade
function run { alembic upgrade head; }; trap run EXIT => alembic upgrade
OUT=$(alembic upgrade head) => alembic upgrade
echo `alembic upgrade head` => alembic upgrade
diff <(alembic upgrade head) /dev/null => alembic upgrade
echo yes | python manage.py migrate => manage.py migrate
test -f x || alembic upgrade head => alembic upgrade
alembic current || alembic upgrade head => alembic upgrade
sh -c 'sh -c "alembic upgrade head"' => alembic upgrade
eval "alembic upgrade head" => alembic upgrade
CMD='alembic upgrade head'; $CMD => alembic upgrade
if alembic upgrade head; then echo ok; else exit 1; fi => alembic upgrade (uncertain)
until alembic upgrade head; do sleep 2; done => alembic upgrade (uncertain)
while ! npx prisma migrate deploy; do sleep 2; done => prisma migrate deploy (uncertain)
./unknown.sh\nalembic upgrade head\nif => alembic upgrade
/app/createdb.sh && /app/migrate.sh && /app/entrypoint.sh run => migrate.sh
/entrypoint.sh db createdb && /entrypoint.sh db migrate => entrypoint.sh db migrate
kong migrations up && kong migrations finish => kong migrations finish
goose up || goose down => goose up
/app/shop db upgrade; alembic upgrade head => alembic upgrade
psql -c "CREATE TABLE t (id int)" => psql CREATE TABLE
psql "$DB" -v ON_ERROR_STOP=1 -tAc 'ALTER TABLE t ADD c int' => psql ALTER TABLE
psql --command='drop table if exists old' => psql DROP TABLE
mysql -h db -e 'create unique index i on t (c)' => mysql CREATE INDEX
psql <<'EOF'\nBEGIN;\nALTER TABLE t ADD c int;\nCOMMIT;\nEOF => psql ALTER TABLE
psql <<< 'ALTER TABLE t ADD c int' => psql ALTER TABLE
echo 'ALTER TABLE t ADD c int;' | psql => psql ALTER TABLE
clickhouse-client --query 'CREATE TABLE t (a Int8) ENGINE=Memory' => clickhouse-client CREATE TABLE
sqlcmd -S db -Q 'ALTER TABLE t ADD c int' => sqlcmd ALTER TABLE
cqlsh db -e 'CREATE TABLE k.t (a int PRIMARY KEY)' => cqlsh CREATE TABLE
psql -f /migrations/001_init.sql => psql file
psql -f /sql/V2__users.sql => psql file
mysql shop < /sql/schema.sql => mysql file
for f in $(ls /migrations/*.sql | sort); do psql -f "$f"; done => psql file
for f in /migrations/*.sql; do psql -f "$f"; done => psql file
cat /migrations/*.sql | psql => psql file
psql -f /sql/tables.sql => psql file (uncertain)
psql -c 'CREATE SCHEMA IF NOT EXISTS shop' => psql CREATE (uncertain)
psql -c "CREATE TABLE $TABLE (id int)" => psql CREATE TABLE (uncertain)
mongosh --eval 'db.orders.createIndex({a: 1})' => mongosh schema change (uncertain)
"#;

#[test]
fn images_whose_entrypoint_is_the_tool() {
    for row in IMAGES.lines().filter(|row| !row.is_empty()) {
        let (image, rest) = row.split_once(": ").unwrap_or_default();
        let (args, want) = rest.split_once(" => ").unwrap_or_default();
        let runner = read_command(&[], &elements(args), Some(image)).runner;
        let found = runner.map_or_else(String::new, |runner| {
            let certainty = if runner.certainty == Certain { "" } else { " (uncertain)" };
            format!("{}{certainty}", runner.command)
        });
        assert_eq!(found, want, "{row}");
    }
}

const IMAGES: &str = "
migrate/migrate: -path=/m -database=x up => migrate up
flyway/flyway: -url=x migrate => flyway migrate
redgate/flyway: migrate => flyway migrate
mirror/flyway/flyway: migrate => flyway migrate
liquibase/liquibase: --changelog-file=c.xml update => liquibase update
amacneil/dbmate: up => dbmate up
acme/tools/dbmate: --wait up => dbmate up
arigaio/atlas: migrate apply --url x => atlas migrate apply
apache/airflow: db migrate => airflow db migrate
apache/airflow: bash :: -c :: exec airflow db migrate => airflow db migrate
openfga/openfga: migrate => openfga migrate
authzed/spicedb: datastore migrate head => spicedb datastore migrate
oryd/kratos: migrate sql -e --yes => kratos migrate sql
kong: kong migrations bootstrap => kong migrations bootstrap
gomicro/goose: postgres x up => goose up
getsentry/snuba: migrations migrate --force => snuba migrations migrate
temporalio/admin-tools: temporal-sql-tool update-schema -d s => temporal-sql-tool update-schema
goauthentik/server: migrate => ak migrate
acme/shop: bundle exec rails db:migrate => rails db:migrate
acme/shop: -c :: alembic upgrade head => alembic upgrade
acme/shop-migrations: -path=/m -database=x up => migrate up
acme/shop: migrate -path /m -database x up => migrate up
acme/shop-db: -url=jdbc:postgresql://db/x migrate => flyway migrate
acme/shop-db: --changelog-file=c.xml update => liquibase update
acme/shop: db upgrade => db upgrade (uncertain)
acme/shop: migrate up => migrate up (uncertain)
";

const WRAPPERS: &str = "
exec
env A=b C=d
env -i -u HOME A=b
timeout 300
timeout -k 5 --signal=TERM 5m
nohup
nice -n 5
ionice -c 2 -n 7
time
stdbuf -oL
sudo -u app
sudo -E -u app A=b
doas -u app
su-exec app:app
gosu app
setpriv --reuid=1000 --clear-groups --
chpst -u app
s6-setuidgid app
dumb-init --
dumb-init
/usr/bin/tini --
tini -g --
catatonit
with-contenv
/entrypoint.sh
docker-entrypoint.sh
/app/custom-entrypoint.sh
/cnb/lifecycle/launcher
launcher
poetry run
pipenv run
uv run --frozen --no-dev
uv run
pdm run
hatch run
rye run
conda run -n shop
micromamba run -n shop
command
flock /tmp/lock
busybox
wait-for-it.sh db:5432 --
wait-for-it db:5432 -t 60 --
wait-for db:5432 --
dockerize -wait tcp://db:5432 -timeout 60s
wait4x tcp db:5432 --timeout 60s --
wait-for-postgres.sh db
doppler run --
op run --env-file=.env --
chamber exec shop --
vault-env
infisical run --
dotenv -e .env --
dotenvx run --
cross-env NODE_ENV=production
opentelemetry-instrument
ddtrace-run
newrelic-admin run-program
linkerd-await --shutdown --
scuttle
some-wrapper --verbose --
xargs -n1
npm exec --
npx
pnpm exec
yarn
bunx
runuser -u app --
nohup nice timeout 60 dumb-init -- env A=b
";
