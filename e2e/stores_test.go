package e2e

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"pharos/internal/teststack"
)

// storeAccounts are the accounts of the stores as .env has them.
type storeAccounts struct {
	MySQLAddr       string `env:"MYSQL_ADDR,required"`
	MySQL           string `env:"MYSQL_PASSWORD,required"`
	MySQLRoot       string `env:"MYSQL_ROOT_PASSWORD,required"`
	MySQLMetricbeat string `env:"METRICBEAT_MYSQL_PASSWORD,required"`
	MongoDB         string `env:"MONGODB_HOST_PORT,required"`
	MongoDBPassword string `env:"MONGODB_PASSWORD,required"`
	Redis           string `env:"REDIS_ADDR,required"`
	Elasticsearch   string `env:"ELASTICSEARCH_URL,required"`
}

// TestStoresKnowTheirAccounts asks the real servers what each account may do:
// what it needs, and nothing else. Elasticsearch's are elastic's stack tests.
func TestStoresKnowTheirAccounts(t *testing.T) {
	a := teststack.Config[storeAccounts](t)
	t.Run("MySQL", func(t *testing.T) { a.mysql(t) })
	t.Run("MongoDB", func(t *testing.T) { a.mongodb(t) })
	t.Run("Redis", func(t *testing.T) { a.redis(t) })
	t.Run("nobody", func(t *testing.T) {
		resp, err := http.Get(a.Elasticsearch + "/_search")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("Elasticsearch answers nobody with %d", resp.StatusCode)
		}
	})
}

func (a storeAccounts) mysqlAs(t *testing.T, user, password, database string) *sql.DB {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd, cfg.DBName = "tcp", a.MySQLAddr, user, password, database
	cfg.Logger = &mysql.NopLogger{} // of refusals that are to come
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (a storeAccounts) mysql(t *testing.T) {
	for _, who := range []struct{ user, password string }{
		{"root", a.MySQLRoot}, // by the server's own socket only
		{"root", ""}, {"", ""}, {"pharos", ""}, {"pharos", "wrong"}, {"metricbeat", ""}, {"mysql", ""},
	} {
		if err := a.mysqlAs(t, who.user, who.password, "").PingContext(t.Context()); err == nil {
			t.Errorf("%q signs in with a password of %d characters", who.user, len(who.password))
		}
	}
	const (
		denied     = 1044 // for a database
		noCommand  = 1142 // on a table
		privileges = 1227
		noGrant    = 1410
		accessed   = 1045
	)
	refusals := []uint16{denied, noCommand, privileges, noGrant, accessed}
	everywhere := []string{
		"SELECT * FROM mysql.user", "SELECT * FROM mysql.global_priv", "CREATE DATABASE other", "DROP DATABASE mysql", "CREATE USER x@localhost",
		"GRANT ALL ON *.* TO pharos@127.0.0.1", "SET GLOBAL max_connections = 1", "SELECT 1 INTO OUTFILE '/tmp/pharos-outfile'", "CREATE TABLE mysql.x (id INT)",
		"SET PASSWORD FOR root@localhost = PASSWORD('x')",
	}
	for user, tt := range map[string]struct {
		password        string
		may, mayNot     []string
		databases, runs []string // what it sees of others
	}{
		"pharos": {a.MySQL, []string{"SELECT COUNT(*) FROM pharos.metrics"}, nil, []string{"information_schema", "pharos"}, []string{"pharos"}},
		"metricbeat": {a.MySQLMetricbeat, []string{"SHOW GLOBAL STATUS"}, []string{"SELECT * FROM pharos.metrics", "DELETE FROM pharos.metrics", "CREATE TABLE pharos.x (id INT)"},
			[]string{"information_schema"}, []string{"metricbeat"}},
	} {
		db := a.mysqlAs(t, user, tt.password, "")
		for _, statement := range tt.may {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Errorf("%s: %s: %v", user, statement, err)
			}
		}
		for _, statement := range append(tt.mayNot, everywhere...) {
			_, err := db.ExecContext(t.Context(), statement)
			var refused *mysql.MySQLError
			if !errors.As(err, &refused) || !slices.Contains(refusals, refused.Number) {
				t.Errorf("%s: %s: %v, want that it is refused", user, statement, err)
			}
		}
		if got := column(t, db, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY 1"); !slices.Equal(got, tt.databases) {
			t.Errorf("%s sees the databases %v", user, got)
		}
		if got := column(t, db, "SELECT DISTINCT USER FROM information_schema.PROCESSLIST"); !slices.Equal(got, tt.runs) {
			t.Errorf("%s sees what %v do", user, got)
		}
	}
}

func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var values []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

func (a storeAccounts) mongodb(t *testing.T) {
	connect := func(auth *options.Credential) *mongo.Client {
		t.Helper()
		opts := options.Client().ApplyURI("mongodb://" + a.MongoDB).SetDirect(true)
		if auth != nil {
			opts.SetAuth(*auth)
		}
		c, err := mongo.Connect(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const unauthorized = 13
	refused := func(who string, c *mongo.Client, database string, command bson.D) {
		t.Helper()
		err := c.Database(database).RunCommand(t.Context(), command).Err()
		var se mongo.ServerError
		if !errors.As(err, &se) || !se.HasErrorCode(unauthorized) {
			t.Errorf("%s: %s.%v: %v, want that it is refused", who, database, command[0].Key, err)
		}
	}
	find := func(collection string) bson.D {
		return bson.D{{Key: "find", Value: collection}, {Key: "limit", Value: 1}}
	}

	nobody := connect(nil)
	defer func() { _ = nobody.Disconnect(t.Context()) }()
	refused("nobody", nobody, "pharos", find("users"))
	refused("nobody", nobody, "admin", bson.D{{Key: "listDatabases", Value: 1}})
	for _, password := range []string{"", "wrong"} {
		c := connect(&options.Credential{AuthSource: "pharos", Username: "pharos", Password: password, PasswordSet: true})
		if err := c.Ping(t.Context(), nil); err == nil {
			t.Errorf("pharos signs in with the password %q", password)
		}
		_ = c.Disconnect(t.Context())
	}

	c := connect(&options.Credential{AuthSource: "pharos", Username: "pharos", Password: a.MongoDBPassword})
	defer func() { _ = c.Disconnect(t.Context()) }()
	for database, command := range map[string]bson.D{"pharos": find("users"), "admin": {{Key: "serverStatus", Value: 1}}} {
		if err := c.Database(database).RunCommand(t.Context(), command).Err(); err != nil {
			t.Errorf("%s.%v: %v", database, command[0].Key, err)
		}
	}
	insert := bson.D{{Key: "insert", Value: "x"}, {Key: "documents", Value: bson.A{bson.D{{Key: "x", Value: 1}}}}}
	refused("pharos", c, "other", insert)
	refused("pharos", c, "admin", insert)
	refused("pharos", c, "admin", find("system.users"))
	refused("pharos", c, "local", find("oplog.rs"))
	refused("pharos", c, "pharos", bson.D{{Key: "createUser", Value: "x"}, {Key: "pwd", Value: "x"}, {Key: "roles", Value: bson.A{"readWrite"}}})
	refused("pharos", c, "pharos", bson.D{{Key: "updateUser", Value: "pharos"}, {Key: "roles", Value: bson.A{"root"}}})
	refused("pharos", c, "admin", bson.D{{Key: "createRole", Value: "x"}, {Key: "roles", Value: bson.A{}}, {Key: "privileges", Value: bson.A{}}})
	refused("pharos", c, "admin", bson.D{{Key: "getParameter", Value: "*"}})
	refused("pharos", c, "admin", bson.D{{Key: "setParameter", Value: 1}, {Key: "logLevel", Value: 1}})
	refused("pharos", c, "admin", bson.D{{Key: "getCmdLineOpts", Value: 1}})
	refused("pharos", c, "admin", bson.D{{Key: "currentOp", Value: 1}, {Key: "$all", Value: true}})
	refused("pharos", c, "admin", bson.D{{Key: "replSetGetConfig", Value: 1}})
	refused("pharos", c, "admin", bson.D{{Key: "shutdown", Value: 1}})
	names, err := c.ListDatabaseNames(t.Context(), bson.D{})
	if err != nil || !slices.Equal(names, []string{"pharos"}) {
		t.Errorf("pharos sees the databases %v: %v", names, err)
	}
}

// redis has one account, for all processes; without its password nothing is
// answered.
func (a storeAccounts) redis(t *testing.T) {
	for _, password := range []string{"", "wrong"} {
		c := redis.NewClient(&redis.Options{Addr: a.Redis, Password: password, MaxRetries: -1, DisableIdentity: true})
		for _, command := range [][]any{{"PING"}, {"KEYS", "*"}, {"CONFIG", "GET", "*"}, {"GET", "x"}} {
			err := c.Do(t.Context(), command...).Err()
			if err == nil || !strings.Contains(fmt.Sprint(err), "NOAUTH") && !strings.Contains(fmt.Sprint(err), "WRONGPASS") {
				t.Errorf("%v with the password %q: %v", command, password, err)
			}
		}
		_ = c.Close()
	}
}
