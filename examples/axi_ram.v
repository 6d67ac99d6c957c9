// A memory on AXI4 for examples: one burst of reads and one of writes at a time, no pauses.
module axi_ram #(
  parameter integer WIDTH = 64,  // bits of a word
  parameter integer WORDS = 4096,
  parameter integer LOG = 3  // log2 of the bytes of a word
) (
  input  wire               clk,
  input  wire               arvalid,
  output wire               arready,
  input  wire [47:0]        araddr,
  input  wire [7:0]         arlen,
  output wire               rvalid,
  input  wire               rready,
  output wire [WIDTH-1:0]   rdata,
  output wire               rlast,
  input  wire               awvalid,
  output wire               awready,
  input  wire [47:0]        awaddr,
  input  wire               wvalid,
  output wire               wready,
  input  wire [WIDTH-1:0]   wdata,
  input  wire [WIDTH/8-1:0] wstrb,
  input  wire               wlast,
  output wire               bvalid,
  input  wire               bready
);
  localparam integer INDEX = $clog2(WORDS);

  reg [WIDTH-1:0] words[0:WORDS-1];
  reg reading = 1'b0, writing = 1'b0, answering = 1'b0;
  reg [INDEX-1:0] from = 0, to = 0;
  reg [7:0] left = 0;
  integer i;

  assign arready = !reading;
  assign rvalid = reading;
  assign rdata = words[from];
  assign rlast = left == 8'd0;
  assign awready = !writing;
  assign wready = writing && !answering;
  assign bvalid = answering;

  always @(posedge clk) begin
    if (arvalid && arready) begin
      reading <= 1'b1;
      from <= araddr[LOG+:INDEX];
      left <= arlen;
    end else if (rvalid && rready) begin
      reading <= !rlast;
      from <= from + 1'b1;
      left <= left - 8'd1;
    end
    if (awvalid && awready) begin
      writing <= 1'b1;
      to <= awaddr[LOG+:INDEX];
    end
    if (wvalid && wready) begin
      for (i = 0; i < WIDTH / 8; i = i + 1) begin
        if (wstrb[i]) words[to][8*i+:8] <= wdata[8*i+:8];
      end
      to <= to + 1'b1;
      answering <= wlast;
    end
    if (bvalid && bready) begin
      answering <= 1'b0;
      writing <= 1'b0;
    end
  end
endmodule
