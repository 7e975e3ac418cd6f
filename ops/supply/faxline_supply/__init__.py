"""What Faxline is made of: the locks, the licences of what they name, and the bill of materials (SBOM)."""
