# What ../../flake.nix would build, as data: its derivations for one system, made with the few functions of nixpkgs that it
# uses. `modules` and `out` say where the two of them are to be.
{
  system,
  modules,
  out,
}:
let
  lib = {
    inherit (builtins) attrNames mapAttrs;
    importJSON = file: builtins.fromJSON (builtins.readFile file);
    fetchers.proxyImpureEnvVars = [ ];
    licenses.mit = "MIT";
    fileset = {
      unions = map (
        path: if builtins.pathExists path then path else throw "${toString path} is not there"
      );
      toSource =
        { root, fileset }:
        map (path: builtins.substring (builtins.stringLength (toString root) + 1) (-1) (toString path)) fileset;
    };
  };
  made = attributes: {
    inherit attributes;
    type = "derivation";
    outPath = if attributes ? outputHash then modules else out;
  };
  pkgs = {
    inherit lib;
    nodejs = "nodejs";
    cacert = "cacert";
    runCommand = name: _: script: { inherit name script; };
    stdenvNoCC = {
      mkDerivation = made;
      hostPlatform = { inherit system; };
    };
  };
  flake = (import ../../flake.nix).outputs {
    nixpkgs = {
      inherit lib;
      legacyPackages = builtins.listToAttrs [
        {
          name = system;
          value = pkgs;
        }
      ];
    };
  };
  package = flake.packages.${system}.default.attributes;
in
{
  package = builtins.removeAttrs package [ "passthru" ];
  modules = package.passthru.modules.attributes;
  app = flake.apps.${system}.default;
  check = flake.checks.${system}.examples.script;
  overlay = (flake.overlays.default pkgs { }).nspawn-netplan.attributes.pname;
  systems = builtins.attrNames flake.packages;
}
