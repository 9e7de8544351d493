package intake

import (
	"context"
	"fmt"
	"net"
	"runtime/debug"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // which clients may use
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// GRPC is OTLP over gRPC.
type GRPC struct{ server *grpc.Server }

// NewGRPC returns a server for OTLP over gRPC that queues with in. Close in after
// it has stopped.
func (in *Intake) NewGRPC() *GRPC {
	s := grpc.NewServer(
		grpc.MaxRecvMsgSize(in.cfg.OTLPMaxRequestSize),
		grpc.MaxConcurrentStreams(uint32(min(in.cfg.MaxStreams, 1<<16))),
		// Before the message is read: a stranger's costs nothing.
		grpc.InTapHandle(func(ctx context.Context, i *tap.Info) (context.Context, error) {
			authorization := ""
			if v := i.Header.Get("authorization"); len(v) > 0 {
				authorization = v[0]
			}
			if err := in.mayExport(authorization); err != nil {
				in.refused(i.FullMethodName, err)
				return nil, otlpStatus(err).Err()
			}
			return ctx, nil
		}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (res any, err error) {
			defer func() {
				if v := recover(); v != nil {
					in.log.Error("OTLP request failed", zap.String("event.action", info.FullMethod), zap.String("error.type", "panic"),
						zap.String("error.message", fmt.Sprint(v)), zap.String("error.stack_trace", string(debug.Stack())))
					err = status.Error(codes.Internal, "something failed on our side")
				}
			}()
			if in.stopping.Err() != nil {
				return nil, otlpStatus(errStopping).Err()
			}
			if res, err = handle(ctx, req); err != nil {
				in.refused(info.FullMethod, err)
				return nil, otlpStatus(err).Err()
			}
			return res, nil
		}),
	)
	ptraceotlp.RegisterGRPCServer(s, &grpcTraces{in: in})
	pmetricotlp.RegisterGRPCServer(s, &grpcMetrics{in: in})
	plogotlp.RegisterGRPCServer(s, &grpcLogs{in: in})
	return &GRPC{s}
}

func (in *Intake) refused(method string, err error) {
	in.log.Warn("OTLP request was refused", zap.String("event.action", method), zap.Error(err))
}

// Serve answers requests until Shutdown.
func (g *GRPC) Serve(l net.Listener) error { return g.server.Serve(l) }

// Shutdown answers the requests in flight, or ends them when ctx ends.
func (g *GRPC) Shutdown(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		g.server.GracefulStop()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		g.server.Stop()
		<-ended
		return fmt.Errorf("stop OTLP over gRPC: %w", ctx.Err())
	}
}

type grpcTraces struct {
	ptraceotlp.UnimplementedGRPCServer
	in *Intake
}

// Export implements ptraceotlp.GRPCServer.
func (g *grpcTraces) Export(ctx context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	return g.in.exportTraces(ctx, r)
}

type grpcMetrics struct {
	pmetricotlp.UnimplementedGRPCServer
	in *Intake
}

// Export implements pmetricotlp.GRPCServer.
func (g *grpcMetrics) Export(ctx context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	return g.in.exportMetrics(ctx, r)
}

type grpcLogs struct {
	plogotlp.UnimplementedGRPCServer
	in *Intake
}

// Export implements plogotlp.GRPCServer.
func (g *grpcLogs) Export(ctx context.Context, r plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	return g.in.exportLogs(ctx, r)
}
