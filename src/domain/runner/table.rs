//! The known tools: programs, and what each verb does. One entry a tool; to add one, copy one.
//!
//! Sources: each tool's own command-line reference. Verbs that only old versions know stay.

use super::signature::{Signature, tool};

pub(super) static SIGNATURES: &[Signature] = &[
    // Python
    tool(
        "Django",
        "manage.py, manage, django-admin, django-admin.py, django, *-manage, nautobot-server, pulpcore-manager, \
         weblate, pretix, ralph, ak, mayan-edx.py",
    )
    .apply("migrate, migrate_schemas, migrate_clickhouse, syncdb, post_upgrade")
    .revert("migrate zero")
    .revert_options("--fake")
    .check("showmigrations, check")
    .inert("makemigrations, sqlmigrate, squashmigrations, optimizemigration"),
    tool("Flask-Migrate", "flask, quart, manage.py, manage, superset, ckan, indico, redash, invenio, mlflow")
        .apply("db upgrade, alembic upgrade")
        .revert("db downgrade, alembic downgrade")
        .check("db current, db history, db heads, db check, db show, db branches")
        .inert("db migrate, db revision, db init, db stamp, db merge, db edit")
        .dry_options("--sql"),
    tool("Redash", "manage.py, manage").apply("database create_tables").uncertain(),
    tool("Alembic", "alembic, neutron-db-manage, *-db-manage")
        .apply("upgrade")
        .revert("downgrade")
        .check("current, heads, history, check, show, branches")
        .inert("stamp, revision, merge, init, edit, list_templates, ensure_version")
        .dry_options("--sql"),
    tool("Airflow", "airflow")
        .apply("db migrate, db upgrade, db init, fab-db migrate, initdb, upgradedb")
        .revert("db reset, db downgrade, resetdb, fab-db downgrade, fab-db reset")
        .check("db check-migrations, db check")
        .inert("db shell, db clean, db export-archived, db drop-archived")
        .dry_options("--show-sql-only, -s"),
    tool("OpenStack", "*-manage").apply("db_sync, db sync, api_db sync, db upgrade").check("db_version, db version"),
    tool("OpenStack", "*-dbsync, gnocchi-upgrade, ceilometer-upgrade").always().inert("version, revision, stamp"),
    tool("OpenStack", "db-sync.sh").always().uncertain(),
    tool("Aerich", "aerich")
        .apply("upgrade, init-db")
        .revert("downgrade")
        .check("history, heads, inspectdb")
        .inert("migrate, init"),
    tool("Piccolo", "piccolo")
        .apply("migrations forwards")
        .revert("migrations backwards")
        .check("migrations check")
        .inert("migrations new, migrations clean"),
    tool("yoyo", "yoyo, yoyo-migrate")
        .apply("apply, develop")
        .revert("rollback, reapply")
        .check("list")
        .inert("new, mark, unmark, break-lock, init"),
    tool("peewee-migrate", "pw_migrate").apply("migrate").revert("rollback").check("list").inert("create, merge"),
    tool("Odoo", "odoo, odoo-bin, odoo.py, openerp-server").apply_options("-u, --update"),
    tool("Odoo", "click-odoo-update, click-odoo-upgrade").always(),
    tool("Prefect", "prefect")
        .apply("server database upgrade, orion database upgrade")
        .revert("server database downgrade, server database reset, orion database reset")
        .inert("server database revision, server database stamp"),
    tool("Dagster", "dagster").apply("instance migrate").check("instance info"),
    tool("JupyterHub", "jupyterhub").apply("upgrade-db"),
    tool("schemachange", "schemachange").apply("deploy").inert("render, verify"),
    tool("pgmigrate", "pgmigrate, yandex-pgmigrate").apply("migrate").revert("clean").check("info").inert("baseline"),
    // Ruby
    tool("Rails", "rails, rake, gitlab-rake, zammad, spring, *-rake")
        .many()
        .apply(
            "db:migrate, db:migrate:*, db:prepare, db:prepare:*, db:schema:load, db:schema:load:*, \
             db:structure:load, db:setup, db:setup:*, db:*_prepare, gitlab:db:configure",
        )
        .revert(
            "db:rollback, db:rollback:*, db:drop, db:drop:*, db:reset, db:reset:*, db:migrate:down, \
             db:migrate:down:*, db:migrate:redo, db:migrate:redo:*, db:migrate:reset, db:migrate:reset:*, \
             db:truncate_all, db:seed:replant",
        )
        .check(
            "db:migrate:status, db:migrate:status:*, db:abort_if_pending_migrations, \
             db:abort_if_pending_migrations:*, db:version, db:version:*",
        )
        .inert("generate, g, destroy, db:test_prepare"),
    tool("Hanami", "hanami").apply("db migrate, db prepare, db structure load").revert("db rollback, db drop"),
    tool("Sequel", "sequel").apply_options("-m, --migrate-directory"),
    // JavaScript
    tool("Prisma", "prisma, keystone, blitz, rw, redwood, zenstack, prisma-client-py")
        .apply("migrate deploy, db push, prisma migrate deploy")
        .revert("migrate reset, migrate dev")
        .check("migrate status, migrate diff, validate")
        .inert("generate, db seed, db pull, format, migrate resolve, studio")
        .dry_options("--create-only"),
    tool("Sequelize", "sequelize, sequelize-cli, @sequelize/cli")
        .apply("db:migrate, db:migrate:schema:timestamps:add")
        .revert("db:migrate:undo*, db:drop")
        .check("db:migrate:status")
        .inert("db:seed*, db:create, migration:*, model:*, init*"),
    tool("TypeORM", "typeorm, typeorm-ts-node-commonjs, typeorm-ts-node-esm, typeorm-extension")
        .apply("migration:run, migrations:run, schema:sync")
        .revert("migration:revert, migrations:revert, schema:drop")
        .check("migration:show, migrations:show, schema:log")
        .inert("migration:create, migration:generate, migrations:create, migrations:generate, query"),
    tool("MikroORM", "mikro-orm, mikro-orm-esm, @mikro-orm/cli")
        .apply("migration:up")
        .revert("migration:down, migration:fresh, schema:drop, schema:fresh")
        .check("migration:check, migration:list, migration:pending")
        .inert("migration:create, generate-entities"),
    tool("Knex", "knex, kysely, kysely-ctl, knex-cli")
        .apply("migrate:latest, migrate:up, migrate latest, migrate up")
        .revert("migrate:rollback, migrate:down, migrate rollback, migrate down")
        .check("migrate:status, migrate:list, migrate:currentVersion, migrate list")
        .inert("migrate:make, migrate:unlock, migrate make, seed:*"),
    tool("Drizzle", "drizzle-kit")
        .apply("migrate, push, push:*")
        .check("check, check:*")
        .inert("generate*, introspect*, pull, studio, export, up, up:*, drop"),
    tool("node-pg-migrate", "node-pg-migrate, pg-migrate")
        .apply("up")
        .revert("down, redo")
        .inert("create"),
    tool("db-migrate", "db-migrate").apply("up, up:*").revert("down, down:*, reset, reset:*").check("check").inert("create, create:*"),
    tool("Graphile Migrate", "graphile-migrate").apply("migrate").revert("reset").check("status").inert(
        "watch, commit, uncommit, compile, run, init, current",
    ),
    tool("migrate-mongo", "migrate-mongo, migrate-mongo-ts, migrate-mongoose, ts-migrate-mongoose, mongo-migrate")
        .apply("up")
        .revert("down")
        .check("status, list")
        .inert("create, init, prune"),
    tool("AdonisJS", "ace, ace.js")
        .apply("migration:run")
        .revert("migration:rollback, migration:reset, migration:refresh, migration:fresh, db:wipe")
        .check("migration:status")
        .inert("make:migration, db:seed"),
    tool("Directus", "directus")
        .apply("database migrate:latest, database migrate:up, database install, bootstrap")
        .revert("database migrate:down"),
    tool("Medusa", "medusa")
        .apply("db:migrate, db:setup, db:sync-links, migrations run")
        .revert("db:rollback, migrations revert")
        .check("migrations show")
        .inert("db:generate, db:create, migrations generate"),
    tool("Payload", "payload")
        .apply("migrate")
        .revert("migrate:down, migrate:refresh, migrate:reset, migrate:fresh")
        .check("migrate:status")
        .inert("migrate:create, generate:*"),
    tool("knex-migrator", "knex-migrator").apply("migrate, init").revert("reset, rollback").check("health"),
    tool("knex-migrator", "knex-migrator-migrate, knex-migrator-init").always(),
    tool("Wrangler", "wrangler").apply("d1 migrations apply").check("d1 migrations list").inert("d1 migrations create"),
    tool("Supabase", "supabase")
        .apply("db push, migration up")
        .revert("db reset, migration down")
        .check("migration list, db diff, db lint")
        .inert("migration new, migration squash, migration repair, db pull, db dump"),
    tool("Logto", "logto, @logto/cli, alteration")
        .apply("db alteration deploy, deploy")
        .revert("db alteration rollback, rollback")
        .check("db alteration list, list")
        .inert("db seed"),
    // Go, Rust, Elixir and stand-alone tools
    tool("golang-migrate", "migrate, golang-migrate, migrate.linux-amd64")
        .apply("up, goto")
        .revert("down, drop, force")
        .check("version")
        .inert("create"),
    tool("goose", "goose, goose_linux_x86_64")
        .apply("up, up-to, up-by-one")
        .revert("down, down-to, redo, reset")
        .check("status, validate, version")
        .inert("create, fix, env"),
    tool("sqlx", "sqlx, sqlx-cli")
        .apply("migrate run, database setup, db setup")
        .revert("migrate revert, database reset, database drop, db reset, db drop")
        .check("migrate info")
        .inert("migrate add, database create, prepare"),
    tool("Diesel", "diesel")
        .apply("migration run, setup, database setup")
        .revert("migration revert, migration redo, database reset, database drop")
        .check("migration list, migration pending")
        .inert("migration generate, print-schema"),
    tool("SeaORM", "sea-orm-cli, sea-orm")
        .apply("migrate up, migrate")
        .revert("migrate down, migrate fresh, migrate refresh, migrate reset")
        .check("migrate status")
        .inert("migrate init, migrate generate, generate"),
    tool("Refinery", "refinery").apply("migrate").inert("setup"),
    tool("dbmate", "dbmate").apply("up, migrate").revert("rollback, down, drop").check("status").inert(
        "dump, wait, new, create, load",
    ),
    tool("sql-migrate", "sql-migrate").apply("up").revert("down, redo").check("status").inert("new, skip").dry_options("-dryrun"),
    tool("Flyway", "flyway, org.flywaydb.commandline.Main")
        .many()
        .apply("migrate, deploy, repair migrate")
        .revert("clean, undo, repair")
        .check("info, validate, check")
        .inert("baseline, snapshot, generate, diff, model, version, prepare"),
    tool("Liquibase", "liquibase, LiquibaseCommandLine, liquibase.integration.commandline.Main")
        .apply(
            "update, updateCount, update-count, updateToTag, update-to-tag, update-one-changeset, \
             updateTestingRollback, update-testing-rollback",
        )
        .revert("rollback*, dropAll, drop-all")
        .check(
            "status, validate, history, diff*, updateSQL, update-sql, update*SQL, update*-sql, rollback*SQL, \
             rollback*-sql, future*, checks",
        )
        .inert(
            "changelog*, generate*, tag*, releaseLocks, release-locks, clear*, snapshot*, listLocks, list-locks, init",
        ),
    tool("Atlas", "atlas")
        .apply("migrate apply, schema apply")
        .revert("migrate down, schema clean")
        .check("migrate status, migrate lint, migrate diff, migrate validate, schema diff, schema inspect")
        .inert("migrate new, migrate hash, migrate push, migrate set, migrate import, schema plan, schema push"),
    tool("tern", "tern").apply("migrate").check("status").inert("new, init, code, renumber"),
    tool("Soda", "soda, buffalo, buffalo-pop")
        .apply("migrate, migrate up, pop migrate, db migrate, task db:migrate")
        .revert("migrate down, reset, drop, pop reset, pop drop")
        .check("migrate status")
        .inert("generate, g, create"),
    tool("sqitch", "sqitch").apply("deploy").revert("revert, rebase, checkout").check("status, verify, log, plan").inert(
        "add, init, bundle, tag, target, engine, config",
    )
    .dry_options("--log-only"),
    tool("sqldef", "psqldef, mysqldef, mssqldef, sqlite3def").always().dry_options("--export"),
    tool("Skeema", "skeema").apply("push").check("diff, lint, format").inert("init, pull"),
    tool("pgroll", "pgroll").apply("start, migrate").contract("complete").revert("rollback").check("status, latest, validate").inert(
        "init, pull, convert, create, baseline",
    ),
    tool("reshape", "reshape")
        .apply("migrate, migration start")
        .contract("complete, migration complete")
        .revert("abort, migration abort")
        .check("check, status")
        .inert("generate-schema-query, schema-query, docs"),
    tool("evolve", "evolve, evolve-cli").apply("migrate").revert("erase").check("info, validate").inert("repair"),
    tool("SchemaHero", "schemahero").apply("apply").check("plan"),
    tool("Vitess", "vtctldclient, vtctlclient, vtctl").apply("ApplySchema"),
    tool("clickhouse-migrations", "clickhouse-migrations").apply("migrate").check("status"),
    tool("Cassandra", "cassandra-migrate, cqlmigrate, cassandra-migration").apply("migrate").revert("reset").check("status"),
    tool("Ecto", "mix")
        .many()
        .apply("ecto.migrate, ecto.setup, ecto.load, ash.migrate, ash_postgres.migrate")
        .revert("ecto.rollback, ecto.drop, ecto.reset, ash.rollback, ash_postgres.rollback")
        .check("ecto.migrations")
        .inert("ecto.gen.*, ecto.create, ecto.dump"),
    tool("Ecto", "pleroma_ctl, mobilizon_ctl, akkoma_ctl").apply("migrate").revert("rollback"),
    // .NET and JVM
    tool("EF Core", "ef, dotnet-ef")
        .apply("database update")
        .revert("database drop, database update 0")
        .check("migrations list, migrations has-pending-model-changes")
        .inert("migrations, dbcontext"),
    tool("EF Core", "*efbundle, *efbundle.exe").always(),
    tool("FluentMigrator", "fm, dotnet-fm").apply("migrate").revert("rollback, migrate down").check("list").dry_options("--preview"),
    tool("grate", "grate, rh").always(),
    tool("SqlPackage", "sqlpackage, SqlPackage")
        .apply("/Action:Publish, /a:Publish, /action:publish, /a:publish")
        .check("/Action:Script, /Action:DeployReport, /a:Script, /a:DeployReport"),
    tool("Maven or Gradle", "mvn, mvnw, gradle, gradlew, sbt")
        .many()
        .apply("flyway:migrate, flywayMigrate, liquibase:update, liquibaseUpdate, *:flywayMigrate")
        .revert("flyway:clean, flywayClean, liquibase:rollback, liquibase:dropAll, flyway:undo, flyway:repair")
        .check("flyway:info, flywayInfo, flyway:validate, flywayValidate, liquibase:status, liquibase:diff")
        .inert("test, package"),
    tool("Hive", "schematool")
        .apply_options("-initSchema, -upgradeSchema, -initOrUpgradeSchema, -initSchemaTo, -upgradeSchemaFrom")
        .check("-info"),
    tool("Metabase", "metabase.jar, metabase, run_metabase.sh")
        .apply("migrate up")
        .revert("migrate down, migrate force")
        .check("migrate print")
        .inert("migrate release-locks"),
    // PHP
    tool("Laravel", "artisan, lnms, sail")
        .apply(
            "migrate, october:up, october:migrate, winter:up, module:migrate, tenants:migrate, \
             firefly-iii:upgrade-database",
        )
        .revert(
            "migrate:fresh, migrate:reset, migrate:rollback, migrate:refresh, db:wipe, tenants:rollback, \
             tenants:migrate-fresh, module:migrate-*",
        )
        .check("migrate:status, db:show, db:monitor, module:migrate-status")
        .inert("make:*, schema:dump, migrate:install, db:seed"),
    tool("CodeIgniter", "spark").apply("migrate").revert("migrate:rollback, migrate:refresh").check("migrate:status"),
    tool("Doctrine", "console, doctrine, doctrine-migrations, doctrine-migrations.phar, symfony, flow, contao-console")
        .apply(
            "doctrine:migrations:migrate, migrations:migrate, d:m:m, doctrine:migrations:execute, \
             migrations:execute, doctrine:schema:create, orm:schema-tool:create, doctrine:migrate, contao:migrate",
        )
        .revert(
            "doctrine:migrations:migrate first, doctrine:migrations:migrate prev, doctrine:migrations:migrate 0, \
             migrations:migrate first, migrations:migrate prev, doctrine:schema:drop, doctrine:database:drop, \
             orm:schema-tool:drop",
        )
        .revert_options("--down")
        .check(
            "doctrine:migrations:status, doctrine:migrations:list, doctrine:migrations:current, \
             doctrine:migrations:latest, doctrine:migrations:up-to-date, doctrine:schema:validate, \
             migrations:status, migrations:list, migrations:up-to-date, doctrine:migrationstatus",
        )
        .inert("doctrine:migrations:*, migrations:*, doctrine:database:create, doctrine:fixtures:load")
        .dry_options("--write-sql, --dump-sql"),
    tool("Doctrine", "console, doctrine, symfony")
        .apply("doctrine:schema:update, orm:schema-tool:update")
        .needed_options("--force, -f")
        .dry_options("--dump-sql"),
    tool("Shopware", "console").apply("database:migrate, system:update:finish").inert("database:create-migration"),
    tool("GLPI", "console").apply("db:update, database:update, glpi:database:update, db:install").check("db:check"),
    tool("Matomo", "console").apply("core:update"),
    tool("Oro", "console").apply("oro:platform:update, oro:migration:load, kimai:update").dry_options("--show-queries"),
    tool("Yii", "yii, yii.php")
        .apply("migrate, migrate/up")
        .revert("migrate/down, migrate/fresh, migrate/redo, migrate/to")
        .check("migrate/history, migrate/new")
        .inert("migrate/create, migrate/mark"),
    tool("Craft", "craft")
        .apply("up, migrate/all, migrate/up, migrate")
        .revert("migrate/down, migrate/redo, migrate:rollback, migrate:refresh, migrate:reset")
        .check("migrate/history, migrate/new, migrate:status")
        .inert("migrate/create"),
    tool("CakePHP", "cake, cake.php")
        .apply("migrations migrate")
        .revert("migrations rollback")
        .check("migrations status")
        .inert("bake, migrations seed, migrations dump, migrations mark_migrated"),
    tool("Phinx", "phinx").apply("migrate").revert("rollback").check("status, list").inert("create, seed:*, test, breakpoint, init"),
    tool("Drush", "drush").apply("updatedb, updb, deploy, update-db").check("updatedb:status, updbst, updatedb-status").inert(
        "deploy:*",
    ),
    tool("Nextcloud", "occ")
        .apply("upgrade, db:add-missing-indices, db:add-missing-columns, db:add-missing-primary-keys")
        .check("status"),
    tool("WordPress", "wp").apply("core update-db, wc update"),
    tool("Magento", "magento")
        .apply("setup:upgrade, setup:db-schema:upgrade, setup:db-data:upgrade")
        .check("setup:db:status")
        .inert("setup:di:compile, setup:static-content:deploy"),
    tool("TYPO3", "typo3, typo3cms").apply("database:updateschema, upgrade:run").check("upgrade:list"),
    tool("Moodle", "*admin/cli/upgrade.php, *admin/cli/install_database.php").always(),
    tool("LimeSurvey", "console.php").apply("updatedb"),
    // Products
    tool("Sentry", "sentry").apply("upgrade, django migrate, migrations run").inert("init, run, exec, createuser, cleanup"),
    tool("Snuba", "snuba")
        .apply("migrations migrate, migrations run, bootstrap")
        .revert("migrations reverse, migrations reverse-in-progress")
        .check("migrations list")
        .inert("api, consumer, migrations add-node"),
    tool("Taskbroker", "taskbroker").apply("migrations"),
    tool("Kong", "kong")
        .apply("migrations up, migrations bootstrap")
        .contract("migrations finish")
        .revert("migrations reset")
        .check("migrations list, migrations status, check"),
    tool("Ory", "kratos, hydra, keto, talos")
        .apply("migrate sql, migrate sql up, migrate up")
        .revert("migrate sql down, migrate down")
        .check("migrate status, migrate sql status")
        .inert("migrate gen"),
    tool("OpenFGA", "openfga").apply("migrate").inert("run, validate-models"),
    tool("SpiceDB", "spicedb").apply("migrate, datastore migrate").check("head, datastore head").inert("serve, datastore gc"),
    tool("Temporal", "temporal-sql-tool, temporal-cassandra-tool, cadence-sql-tool, cadence-cassandra-tool")
        .apply("update-schema, setup-schema, update, setup")
        .revert("drop-database, drop-keyspace, drop")
        .check("validate-health")
        .inert("create-database, create-Keyspace, create"),
    tool("Zitadel", "zitadel").apply("setup").inert("init, start, start-from-init, start-from-setup, ready, admin, setup cleanup"),
    tool("Hasura", "hasura, hasura-cli, hasura-cli-linux-amd64")
        .apply("migrate apply, deploy")
        .revert_options("--down")
        .check("migrate status, metadata diff")
        .inert("metadata, migrate create, migrate squash, migrate delete, seed"),
    tool("Authelia", "authelia")
        .apply("storage migrate up")
        .revert("storage migrate down")
        .check("storage migrate list-up, storage migrate list-down, storage migrate history, storage schema-info")
        .inert("storage migrate list"),
    tool("Matrix Authentication Service", "mas-cli").apply("database migrate").inert("config, server, worker, syn2mas"),
    tool("Gitea", "gitea, forgejo").apply("migrate").inert("admin, doctor, web, dump"),
    tool("Mattermost", "mattermost").apply("db migrate").revert("db downgrade, db reset").check("db version").inert("db init"),
    tool("Boundary", "boundary").apply("database init, database migrate, database update"),
    tool("Lakekeeper", "lakekeeper, iceberg-catalog").apply("migrate").inert("wait-for-db, serve, healthcheck"),
    tool("lakeFS", "lakefs").apply("migrate up").revert("migrate down").check("migrate version, migrate status"),
    tool("Hanko", "hanko").apply("migrate up").revert("migrate down"),
    tool("OpenMetadata", "openmetadata-ops.sh, bootstrap_storage.sh")
        .apply("migrate, migrate-all")
        .revert("drop-create")
        .check("info, validate, check-connection"),
    tool("Quay", "quay-entrypoint.sh").apply("migrate"),
    tool("Plausible", "plausible, entrypoint.sh").apply("db migrate").inert("db createdb, run"),
    tool("Harbor", "harbor_core").apply_options("-mode=migrate"),
    tool("Hatchet", "hatchet-migrate").always(),
    tool("SigNoz", "signoz-schema-migrator").apply("sync, async"),
    tool("SigNoz", "signoz-otel-collector")
        .apply("migrate bootstrap, migrate sync, migrate async")
        .check("migrate ready, migrate sync check, migrate async check"),
    tool("Sourcegraph", "migrator").apply("up, upto, upgrade").revert("undo, downgrade").check("validate, drift, describe").inert(
        "run-out-of-band-migrations, add-log",
    ),
    tool("Wire", "brig-schema, galley-schema, gundeck-schema, spar-schema").always(),
    tool("Lemmy", "lemmy_server").apply("migration run").revert("migration revert"),
    tool("Vikunja", "vikunja").apply("migrate").revert("migrate rollback").check("migrate list"),
    tool("PhotoPrism", "photoprism").apply("migrations run, migrations start").check("migrations ls, migrations status"),
    tool("Miniflux", "miniflux").apply_options("-migrate, --migrate"),
    tool("listmonk", "listmonk").apply_options("--upgrade, --install"),
    tool("WriteFreely", "writefreely").apply("db migrate, db init"),
    tool("AFFiNE", "self-host-predeploy.js, self-host-predeploy").always(),
    tool("Galaxy", "manage_db.sh, manage_db.py").apply("upgrade, init").revert("downgrade").check("version, db_version"),
    tool("Metaflow", "run_goose.py").always().uncertain(),
];
