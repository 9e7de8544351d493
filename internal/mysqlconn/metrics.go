package mysqlconn

import (
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// RegisterMetrics registers what the pool's own statistics say, as go_sql_*.
func RegisterMetrics(reg prometheus.Registerer, db *sql.DB) {
	reg.MustRegister(collectors.NewDBStatsCollector(db, "mysql"))
}
