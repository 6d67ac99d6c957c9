// Both cores of two_cores run the programs that were generated with them, at the same time.
module two_cores_tb;
  localparam integer FIRST = 63, SECOND = 63;  // instructions, as in the benches of the cores
  reg clk = 1'b0, rst = 1'b1;
  reg awvalid = 1'b0, wvalid = 1'b0, bready = 1'b0;
  reg [8:0] awaddr = 0;
  reg [31:0] wdata = 0;
  wire awready, wready, bvalid;
  wire [1:0] irqs;
  reg [63:0] first_expected[0:2559], second_expected[0:2559];
  integer i, errors = 0;
  always #5 clk = ~clk;

  two_cores dut (
    .clk(clk),
    .rst(rst),
    .awvalid(awvalid),
    .awready(awready),
    .awaddr(awaddr),
    .wvalid(wvalid),
    .wready(wready),
    .wdata(wdata),
    .bvalid(bvalid),
    .bready(bready),
    .irqs(irqs)
  );

  task write(input [8:0] address, input [31:0] value);
    begin
      @(negedge clk);
      awaddr = address;
      wdata = value;
      awvalid = 1'b1;
      wvalid = 1'b1;
      bready = 1'b1;
      @(posedge clk);
      while (!(awready && wready)) @(posedge clk);
      @(negedge clk);
      awvalid = 1'b0;
      wvalid = 1'b0;
      @(posedge clk);
      while (!bvalid) @(posedge clk);
      @(negedge clk);
      bready = 1'b0;
    end
  endtask

  // Registers by their offsets in lutcore_edge_axi_registers.h; the program lies at address 0.
  task start(input [8:0] core, input [31:0] instructions);
    begin
      write(core + 9'h014, 32'd1);  // irq_enable: done
      write(core + 9'h020, instructions);  // length
      write(core + 9'h02c, 32'd0);  // window_high, lower half
      write(core + 9'h030, 32'h1_0000);  // and upper half: all of memory
      write(core + 9'h008, 32'd1);  // control: start
    end
  endtask

  initial begin
    for (i = 0; i < 2560; i = i + 1) begin
      first_expected[i] = 64'd0;
      second_expected[i] = 64'd0;
      dut.first_ram.words[i] = 64'd0;
      dut.second_ram.words[i] = 64'd0;
    end
    $readmemh("lutcore_edge_axi_memory.hex", dut.first_ram.words);
    $readmemh("lutcore_edge_axi_expected.hex", first_expected);
    $readmemh("lutcore_board_core_axi_memory.hex", dut.second_ram.words);
    $readmemh("lutcore_board_core_axi_expected.hex", second_expected);
    repeat (4) @(negedge clk);
    rst = 1'b0;
    start(9'h000, FIRST);
    start(9'h100, SECOND);
    while (irqs != 2'b11) @(posedge clk);
    for (i = 0; i < 2560; i = i + 1) begin
      if (dut.first_ram.words[i] !== first_expected[i]) errors = errors + 1;
      if (dut.second_ram.words[i] !== second_expected[i]) errors = errors + 1;
    end
    if (errors != 0) $fatal(1, "FAIL: %0d words differ", errors);
    $display("PASS: both programs left what they should");
    $finish;
  end

  initial begin
    repeat (100000) @(posedge clk);
    $fatal(1, "FAIL: no end");
  end
endmodule
